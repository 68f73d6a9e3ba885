import { expect, test } from "vitest";
import { parseExposition } from "../../test/rig/exposition.ts";
import { addCounts, endOpenTunnels, openTunnels, TunnelCounts } from "./tunnel-counts.ts";
import { prometheusText, TUNNEL_METRICS, tunnelMetricsJson } from "./tunnel-metrics.ts";

function counted(): TunnelCounts {
  const counts = new TunnelCounts();
  counts.opened = 7;
  counts.end("client", "close");
  counts.end("client", "close");
  counts.end("proxy", "ping-timeout");
  counts.refuse("client", "origin");
  counts.closeSent("upstream", 1001);
  counts.client.bytes = 2 ** 40;
  counts.upstream.messages = 3;
  return counts;
}

test("the text is what Prometheus reads: each metric once, with its type, and each series once", () => {
  const families = parseExposition(prometheusText(counted().snapshot()));
  expect(families.map(({ name, type, help }) => [name, type, help])).toEqual(
    TUNNEL_METRICS.map(({ name, type, help }) => [name, type, help]),
  );
  const value = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
    families
      .find((family) => family.name === name)
      ?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value;
  expect(value("wsgate_tunnels_opened_total")).toBe(7);
  expect(value("wsgate_tunnels_open")).toBe(4);
  expect(value("wsgate_tunnels_ended_total", { ended_by: "client", reason: "close" })).toBe(2);
  expect(value("wsgate_tunnels_ended_total", { ended_by: "proxy", reason: "ping-timeout" })).toBe(1);
  expect(value("wsgate_handshakes_refused_total", { fault: "client", rule: "origin" })).toBe(1);
  expect(value("wsgate_close_frames_sent_total", { to: "upstream", code: "1001" })).toBe(1);
  expect(value("wsgate_tunnel_bytes_total", { from: "client" })).toBe(2 ** 40);
  expect(value("wsgate_tunnel_messages_total", { from: "upstream" })).toBe(3);
});

test("a label may hold anything and still be one", () => {
  const counts = new TunnelCounts();
  const hostile = 'a"b\\c\nwsgate_tunnels_open{x="y"}';
  counts.refuse("client", hostile);
  const refused = parseExposition(prometheusText(counts.snapshot())).find(({ name }) =>
    name.includes("refused"),
  );
  expect(refused?.samples).toEqual([{ labels: { fault: "client", rule: hostile }, value: 1 }]);
});

test("the JSON has the same numbers", () => {
  expect(JSON.parse(tunnelMetricsJson(counted().snapshot()))).toMatchObject({
    opened: 7,
    open: 4,
    ended: [
      { ended_by: "client", reason: "close", count: 2 },
      { ended_by: "proxy", reason: "ping-timeout", count: 1 },
    ],
    bytes: [
      { from: "client", count: 2 ** 40 },
      { from: "upstream", count: 0 },
    ],
  });
});

test("the counts of several processes add up, and those of one that is gone leave nothing open", () => {
  const sum = addCounts(counted().snapshot(), counted().snapshot());
  expect([sum.opened, openTunnels(sum), sum.ended["client close"], sum.bytes["client"]]).toEqual([
    14,
    8,
    4,
    2 ** 41,
  ]);
  const crashed = endOpenTunnels(counted().snapshot(), "worker-crash");
  expect([openTunnels(crashed), crashed.ended["proxy worker-crash"]]).toEqual([0, 4]);
  expect(endOpenTunnels(crashed, "worker-crash")).toBe(crashed);
});
