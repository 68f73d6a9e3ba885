import { expect, test } from "vitest";
import { requestBytes } from "../../test/rig/http-client.ts";
import { readResponse } from "../../test/rig/http-message.ts";
import { obtain, useRig } from "../../test/rig/ledger.ts";
import { reservePort } from "../../test/rig/ports.ts";
import { temporaryFolder } from "../../test/rig/proxy-process.ts";
import { connectRaw } from "../../test/rig/raw-peer.ts";
import type { Plan } from "../compile/plan.ts";
import { Gate, type PreparedPlan } from "./gate.ts";
import { load } from "./load.ts";

useRig();

function makeGate(): Gate {
  const gate = new Gate();
  obtain("a gate", () => gate.closeNow());
  return gate;
}

async function planOf(http: string): Promise<Plan> {
  const prefix = temporaryFolder();
  const config = `${prefix}/text`;
  const { plan } = await load({
    places: { config, prefix, errorLog: "stderr", backgroundErrorLog: "stderr" },
    globals: null,
    files: { [config]: `http { access_log off; ${http} }` },
    isFrozen: true,
  });
  if (plan === null) throw new Error(`refused: ${http}`);
  return plan;
}

async function prepare(gate: Gate, plan: Plan): Promise<PreparedPlan> {
  const result = await gate.prepare(plan);
  if (!result.ok) throw new Error("not prepared");
  return result.prepared;
}

test("a new listener's connections wait for the plan to come into force", async () => {
  const port = await reservePort();
  const gate = makeGate();
  const prepared = await prepare(gate, await planOf(`server { listen 127.0.0.1:${port}; return 200 ok; }`));
  const client = await connectRaw({ port });
  await client.send(requestBytes({}));
  // One that is gone again before it is served.
  await (await connectRaw({ port })).close();
  expect(client.inbox.received).toBe("");
  gate.commit(prepared);
  expect((await readResponse(client)).body).toBe("ok");
});

test("they are closed where the plan is given up, and what was served before goes on", async () => {
  const [kept, given] = [await reservePort(), await reservePort()];
  const gate = makeGate();
  const before = `server { listen 127.0.0.1:${kept}; return 200 before; }`;
  gate.commit(await prepare(gate, await planOf(before)));
  const prepared = await prepare(
    gate,
    await planOf(`${before} server { listen 127.0.0.1:${given}; return 200; }`),
  );
  const client = await connectRaw({ port: given });
  gate.abandon(prepared);
  expect(await client.toEnd()).toBe("");
  await expect(connectRaw({ port: given })).rejects.toThrow(/ECONNREFUSED/);
  const other = await connectRaw({ port: kept });
  await other.send(requestBytes({}));
  expect((await readResponse(other)).body).toBe("before");
});

test("all faults of a plan are told at once", async () => {
  const gate = makeGate();
  const plan = await planOf("server { listen 198.51.100.1:80; listen 198.51.100.2:80; }");
  const result = await gate.prepare(plan);
  expect(result).toMatchObject({
    ok: false,
    faults: [
      {
        code: "bind-failed",
        message: "bind() to 198.51.100.1:80 failed (99: Cannot assign requested address)",
      },
      {
        code: "bind-failed",
        message: "bind() to 198.51.100.2:80 failed (99: Cannot assign requested address)",
      },
    ],
  });
  expect(gate.listeners).toEqual([]);
});
