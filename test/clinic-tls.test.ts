import { expect, test } from "vitest";
import { examine, examineAll } from "./clinic/examine.ts";
import { startLateHop } from "./clinic/hops.ts";
import { haproxyForMembers } from "./clinic/other-proxies.ts";
import { TLS_PATIENTS } from "./clinic/tls.ts";
import { useRig } from "./rig/ledger.ts";
import { requires } from "./rig/requires.ts";

useRig();

test("a refused client is known, though its connection ends before the doctor's other one is made", async (context) => {
  requires(context, "haproxy");
  const [url = "", ...args] = await haproxyForMembers("");
  const hop = await startLateHop(Number(new URL(url).port));
  const { verdict } = await examine([`wss://${hop.address}/chat`, ...args]);
  expect(verdict.causes[0]?.illness.id).toBe("tls-client-certificate");
});

examineAll(TLS_PATIENTS);
