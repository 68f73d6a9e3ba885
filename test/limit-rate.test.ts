import { expect, test } from "vitest";
import { useRig } from "./rig/ledger.ts";
import { request } from "./rig/http-client.ts";
import { startGate } from "./rig/proxy-process.ts";

useRig();

test("limit_rate lets the first second's share and limit_rate_after through, and the rest no faster", async () => {
  const size = 60_000;
  // Twenty times faster than the wall clock, so that the seconds of the limit are not those of the test.
  const gate = await startGate({
    clockFactor: 20,
    http: `server { listen {{port:front}}; root html;
      location /slow/ { alias {{prefix}}/html/; limit_rate 20k; limit_rate_after 10k; }
      location /fast/ { alias {{prefix}}/html/; } }`,
    files: { "html/file": "x".repeat(size) },
  });
  await request({ port: gate.port(), target: "/fast/file" });
  const before = performance.now();
  const answer = await request({ port: gate.port(), target: "/slow/file" });
  const seconds = ((performance.now() - before) / 1000) * 20;
  expect(answer.body).toHaveLength(size);
  // 60,000 bytes less 10 KiB and one second's 20 KiB leave a second and a half. The test holds the lower bound alone.
  expect(seconds).toBeGreaterThan(1);
});
