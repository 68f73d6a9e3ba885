import { describe, expect, test } from "vitest";
import { type FrameRule, violationOf } from "./frame-rules.ts";
import { farewellTo, type TunnelTimes } from "./farewell.ts";
import { CONTROL_PAYLOAD_BYTES_MAX } from "./frame-head.ts";
import type { TunnelEndCause, TunnelEndReason } from "./relay.ts";

const TIMES: TunnelTimes = {
  proxy_read_timeout: 3_599_999,
  proxy_send_timeout: 3_599_999,
  send_timeout: 3_599_999,
  websocket_idle_timeout: 3_599_999,
  websocket_max_duration: 3_599_999,
};

function cause(part: Partial<TunnelEndCause> & { readonly reason: TunnelEndReason }): TunnelEndCause {
  return { endedBy: "proxy", about: null, error: null, ...part };
}

const CAUSES: readonly TunnelEndCause[] = [
  cause({ reason: "eof", endedBy: "upstream" }),
  cause({ reason: "reset", endedBy: "upstream" }),
  cause({ reason: "error", endedBy: "upstream", error: new Error("certificate has expired") }),
  cause({ reason: "read-timeout" }),
  cause({ reason: "send-timeout", about: "upstream" }),
  cause({ reason: "ping-timeout", about: "upstream" }),
  cause({ reason: "idle-timeout" }),
  cause({ reason: "max-duration" }),
  cause({ reason: "shutdown" }),
];

describe("what the client is told fits into a Close frame whole", () => {
  test.each(CAUSES.map((each) => [each.reason, each] as const))("%s", (_reason, each) => {
    const { reason = "" } = farewellTo("client", each, TIMES) ?? {};
    expect(reason).not.toBe("");
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(CONTROL_PAYLOAD_BYTES_MAX - 2);
  });

  test("the longest rule", () => {
    const rules: readonly FrameRule[] = ["reserved-bits", "long-length", "close-reason", "close-code"];
    for (const rule of rules) {
      const told = `upstream sent a ${violationOf(rule).message}`;
      expect(Buffer.byteLength(told)).toBeLessThanOrEqual(CONTROL_PAYLOAD_BYTES_MAX - 2);
    }
  });
});

test("who has ended the tunnel itself is told nothing", () => {
  expect(farewellTo("client", cause({ reason: "eof", endedBy: "client" }), TIMES)).toBeNull();
});

test("a client whose upstream is at fault gets 1014, whoever else 1001", () => {
  const codes = (each: TunnelEndCause): (number | undefined)[] =>
    (["client", "upstream"] as const).map((side) => farewellTo(side, each, TIMES)?.code);
  expect(codes(cause({ reason: "eof", endedBy: "upstream" }))).toEqual([1014, undefined]);
  expect(codes(cause({ reason: "eof", endedBy: "client" }))).toEqual([undefined, 1001]);
  expect(codes(cause({ reason: "ping-timeout", about: "upstream" }))).toEqual([1014, 1001]);
  expect(codes(cause({ reason: "ping-timeout", about: "client" }))).toEqual([1001, 1001]);
  expect(codes(cause({ reason: "idle-timeout" }))).toEqual([1001, 1001]);
});
