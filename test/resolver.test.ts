import { expect, test } from "vitest";
import { startHttpBackend } from "./rig/backends.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { startNameServer } from "./rig/name-server.ts";
import { startGate } from "./rig/proxy-process.ts";

useRig();

test("a host name that only the request knows is looked up by the resolver of the configuration", async () => {
  const backend = await startHttpBackend();
  const names = await startNameServer({ "app.test": ["127.0.0.1"] });
  const gate = await startGate({
    values: { names: names.address, backend: backend.port },
    http: `server { listen {{port:front}};
      location /with/ { resolver {{names}} ipv6=off; proxy_pass http://$arg_to:{{backend}}; }
      location /without/ { proxy_pass http://$arg_to:{{backend}}; } }`,
  });
  const port = gate.port();
  expect(await request({ port, target: "/with/a?to=app.test" })).toMatchObject({ status: 200 });
  expect(await request({ port, target: "/with/a?to=app.test" })).toMatchObject({ status: 200 });
  expect(names.questions).toEqual(["app.test A"]);
  expect(await request({ port, target: "/with/a?to=nobody.test" })).toMatchObject({ status: 502 });
  await gate.waitForLog(/nobody\.test could not be resolved \(3: Host not found\)/);
  expect(await request({ port, target: "/without/a?to=app.test" })).toMatchObject({ status: 502 });
  await gate.waitForLog(/no resolver defined to resolve app\.test/);
});
