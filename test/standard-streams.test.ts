import { expect, test } from "vitest";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate } from "./rig/proxy-process.ts";

useRig();

test("logs to /dev/stdout and /dev/stderr when these are sockets, which cannot be opened by their paths", async () => {
  // Node gives its child processes sockets for standard streams, as systemd does.
  const gate = await startGate({
    config: `
      events {}
      http {
        access_log /dev/stdout;
        access_log /dev/stderr;
        server { listen 127.0.0.1:{{port:front}}; location / { return 200 hello; } }
      }`,
  });
  expect((await request({ port: gate.port(), target: "/seen" })).body).toBe("hello");
  await gate.stdout.waitFor(/"GET \/seen HTTP\/1.1" 200/);
  await gate.stderr.waitFor(/"GET \/seen HTTP\/1.1" 200/);
  gate.signal("SIGUSR1");
  await gate.waitForLog(/reopening logs/);
  await request({ port: gate.port(), target: "/after" });
  await gate.stdout.waitFor(/GET \/after/);
});
