import { expect, test } from "vitest";
import { textReport } from "../src/doctor/report/text.ts";
import { APACHE_PATIENTS } from "./clinic/apache.ts";
import { startApplication } from "./clinic/applications.ts";
import { examine, examineAll } from "./clinic/examine.ts";
import { APACHE_PROXY, startApache } from "./clinic/proxies.ts";
import { useRig } from "./rig/ledger.ts";
import { requires } from "./rig/requires.ts";

useRig();

test("an Apache that does not name itself in its 101 is known by an ordinary answer, and its mend comes first", async (context) => {
  requires(context, "apache");
  const { address } = await startApplication();
  const lines = `Timeout 1\nProxyPass "/" "http://${address}/" upgrade=websocket`;
  const proxy = await startApache({ modules: APACHE_PROXY, lines });
  const diagnosis = await examine([proxy.url("ws", "/chat"), "--hold", "2200ms"]);
  const report = textReport(diagnosis, { language: "en", product: null });
  expect(report).toMatch(/\[apache\] .*\n\s+ProxyPass "\/chat" .* timeout=3600/);
  expect(report).not.toContain("[nginx]");
});

examineAll(APACHE_PATIENTS.map((patient) => ({ ...patient, needs: ["apache"] })));
