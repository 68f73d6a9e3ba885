/** A server with proxies in front of it, and what has to come of a case there. */
import assert from "node:assert/strict";
import { expect } from "vitest";
import { leafFiles } from "../rig/certificates.ts";
import { type Front, type FrontName, FRONTS, openOver } from "../rig/fronts.ts";
import { startGate } from "../rig/proxy-process.ts";
import { fuzzSeed, Random } from "../rig/random.ts";
import { connectRaw } from "../rig/raw-peer.ts";
import type { Alone, Case } from "./case.ts";
import {
  type Conversation,
  converse,
  type Cut,
  type DataFrame,
  legible,
  type Open,
  type Outcome,
} from "./conversation.ts";
import { CLOSE, type Frame, PING } from "./frames.ts";
import { type ServerKind, startEchoServer } from "./servers.ts";

export interface Fronts {
  readonly kind: ServerKind;
  readonly direct: Open;
  readonly proxied: Readonly<Record<FrontName, Open>>;
}

const seed: number = fuzzSeed("WSGATE_CONFORMANCE_SEED");
const random: Random = new Random(seed);

/** `settings`: of the location in front of the server. */
export async function startFronts(kind: ServerKind, settings: string = ""): Promise<Fronts> {
  const port = await startEchoServer(kind);
  const { certificate, key } = await leafFiles();
  const gate = await startGate({
    http: `server {
      listen 127.0.0.1:{{port:plain}};
      listen 127.0.0.1:{{port:tls}} ssl;
      http2 on;
      ssl_certificate ${certificate};
      ssl_certificate_key ${key};
      location / { proxy_pass http://127.0.0.1:${port}; ${settings} }
    }`,
  });
  const through = (front: Front | undefined, name: string): Open => {
    assert(front !== undefined);
    const view = { ...gate, port: () => gate.port(name) };
    return (extensions) => front.open(view, "/", { headers: offering(extensions) });
  };
  const frontOf = (name: FrontName): Front | undefined => FRONTS.find((front) => front.name === name);
  return {
    kind,
    direct: async (extensions) =>
      await openOver(await connectRaw({ port }), "/", { headers: offering(extensions) }),
    proxied: {
      ws: through(frontOf("ws"), "plain"),
      wss: through(frontOf("wss"), "tls"),
      h2: through(frontOf("h2"), "tls"),
      h2c: through(frontOf("h2c"), "plain"),
    },
  };
}

function offering(extensions: string | undefined): Readonly<Record<string, string>> {
  return extensions === undefined ? {} : { "sec-websocket-extensions": extensions };
}

/** Holds the case straight with the server and through each front, however it is cut, and compares. */
export async function expectConformance(
  fronts: Fronts,
  row: Case,
  cuts: readonly Cut[] = ["whole", "bytes", "random"],
): Promise<void> {
  const conversation = conversationOf(row);
  const alone = await converse(fronts.direct, conversation, "whole", random);
  if (row.verdict.by === "valid") expect(alone, "straight").toMatchObject(dueTo(row.frames));
  if (row.verdict.by === "proxy") expectAlone(alone, row.verdict.alone);
  for (const [front, open] of Object.entries(fronts.proxied)) {
    for (const cut of cuts) {
      const outcome = await converse(open, conversation, cut, random);
      const where = `${front}, cut ${cut}, seed ${seed}`;
      if (row.verdict.by === "proxy") expectRefused(outcome, row.frames, row.verdict.code, where);
      else expect(outcome, `over ${where}`).toEqual(alone);
    }
  }
}

function conversationOf({ frames, verdict }: Case): Conversation {
  const passes = verdict.by === "valid" || (verdict.by === "proxy" && verdict.alone === "passes");
  const echoes = passes ? messagesOf(frames).length : null;
  return { frames, echoes };
}

function expectAlone({ close }: Outcome, alone: Alone): void {
  if (alone === "passes") expect(close?.code, "the server alone").toBe(1000);
  else expect([...alone, undefined], "the server alone").toContain(close?.code);
}

/** What came before the broken frame may have come back; nothing of it or after it. */
function expectRefused(
  { data, close }: Outcome,
  frames: readonly Frame[],
  code: number,
  where: string,
): void {
  expect(close?.code, `over ${where}`).toBe(code);
  expect(messagesOf(frames).slice(0, data.length), `over ${where}`).toEqual(data);
}

/** What has to come back from an echo server for a valid stream. */
function dueTo(frames: readonly Frame[]): Partial<Outcome> {
  return {
    data: messagesOf(frames),
    pongs: frames.filter(({ opcode }) => opcode === PING).map(({ payload }) => payload.toString("latin1")),
    close: { code: 1000, reason: "" },
  };
}

/** The messages that these frames make up, each as the one frame in which an echo comes. */
function messagesOf(frames: readonly Frame[]): DataFrame[] {
  const messages: DataFrame[] = [];
  let opcode = 0;
  let payloads: Buffer[] = [];
  for (const frame of frames) {
    if (frame.opcode >= CLOSE) continue;
    if (frame.opcode !== 0) opcode = frame.opcode;
    payloads.push(frame.payload);
    if (frame.isFinal === false) continue;
    messages.push(legible({ opcode, isFinal: true, reserved: 0, payload: Buffer.concat(payloads) }));
    payloads = [];
  }
  return messages;
}
