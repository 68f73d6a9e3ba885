/** Sections 12 and 13 of the list: permessage-deflate (RFC 7692), whose frames the proxy passes on as they are. */
import assert from "node:assert/strict";
import { beforeAll, describe, expect, test } from "vitest";
import { type Conversation, converse, type Outcome } from "./conformance/conversation.ts";
import { compress, decompress, sideOf } from "./conformance/deflate.ts";
import { binary, continuation, type Frame, fragments, ping, TEXT, text } from "./conformance/frames.ts";
import { type Fronts, startFronts } from "./conformance/fronts.ts";
import { SERVER_KINDS } from "./conformance/servers.ts";
import { useRig } from "./rig/ledger.ts";
import { Random } from "./rig/random.ts";

useRig();

const random: Random = new Random(12);

/** Offers as Autobahn makes them, a list of several included. */
const OFFERS: Readonly<Record<string, string>> = {
  "12.1": "permessage-deflate",
  "13.1": "permessage-deflate; client_no_context_takeover; client_max_window_bits",
  "13.2": "permessage-deflate; server_no_context_takeover; client_max_window_bits",
  "13.3": "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
  "13.4": "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
  "13.5":
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
  "13.6":
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=15",
  "13.7":
    "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate",
  "13.x": "x-unknown; a=1, permessage-deflate",
};

/** Message sizes, how many of each, and the size of fragments. */
const LOADS: readonly (readonly [bytes: number, count: number, fragmentBytes: number])[] = [
  [0, 3, Infinity],
  [16, 50, Infinity],
  [256, 50, 10],
  [4096, 20, 300],
  [131_072, 3, Infinity],
  [131_072, 3, 1000],
];

function messagesOf(bytes: number, count: number): Buffer[] {
  const words = ["window", "socket", "κόσμε", "frame", "0123456789", "\n"];
  return Array.from({ length: count }, () => {
    let message = "";
    while (message.length < bytes) message += random.pick(words);
    return Buffer.from(message);
  });
}

/** The messages as this client sends them, after what the server has agreed to. */
async function framesOf(
  messages: readonly Buffer[],
  extensions: string,
  fragmentBytes: number,
): Promise<Frame[]> {
  const side = sideOf(extensions, "client");
  const payloads = side === null ? messages : await compress(messages, side);
  return payloads.flatMap((payload) =>
    fragments(TEXT, payload, Math.min(fragmentBytes, Math.max(1, payload.length))).map((frame, index) =>
      index === 0 && side !== null ? { ...frame, reserved: 4 } : frame,
    ),
  );
}

/** The messages of the server, whether it compresses all, some or none of them, in however many frames. */
async function echoesIn({ data, extensions }: Outcome): Promise<readonly Buffer[]> {
  const messages: { isCompressed: boolean; payload: Buffer }[] = [];
  let pieces: Buffer[] = [];
  let isCompressed = false;
  for (const { opcode, isFinal, reserved, payload } of data) {
    if (opcode !== 0) isCompressed = reserved === 4;
    else assert.equal(reserved, 0, "a continuation is marked by its message alone");
    pieces.push(Buffer.from(payload, "latin1"));
    if (!isFinal) continue;
    messages.push({ isCompressed, payload: Buffer.concat(pieces) });
    pieces = [];
  }
  const compressed = messages.filter((message) => message.isCompressed).map(({ payload }) => payload);
  const side = sideOf(extensions, "server");
  if (side === null) {
    assert.equal(compressed.length, 0, "nobody compresses without an agreement");
    return messages.map(({ payload }) => payload);
  }
  const inflated = await decompress(compressed, side);
  return messages.map(
    ({ isCompressed, payload }) => (isCompressed ? inflated.shift() : undefined) ?? payload,
  );
}

describe.each(SERVER_KINDS)("in front of %s", (kind) => {
  let fronts: Fronts;
  let offloading: Fronts;
  beforeAll(async () => {
    fronts = await startFronts(kind);
    offloading = await startFronts(kind, "websocket_compression offload;");
  });

  /** The outcome straight and through each front. */
  async function everywhere(conversation: Conversation): Promise<{ alone: Outcome; proxied: Outcome[] }> {
    const alone = await converse(fronts.direct, conversation, "whole", random);
    const proxied: Outcome[] = [];
    for (const front of Object.values(fronts.proxied)) {
      for (const cut of ["whole", "random"] as const) {
        proxied.push(await converse(front, conversation, cut, random));
      }
    }
    return { alone, proxied };
  }

  describe.each(Object.entries(OFFERS))("%s: %s", (_id, offer) => {
    test.each(LOADS)("messages of %i bytes, %i of them, in fragments of %d", async (bytes, count, size) => {
      const messages = messagesOf(bytes, count);
      const { alone, proxied } = await everywhere({
        extensions: offer,
        frames: (extensions) => framesOf(messages, extensions, size),
        echoes: count,
      });
      expect((await echoesIn(alone)).map(String)).toEqual(messages.map(String));
      for (const outcome of proxied) expect(outcome).toEqual(alone);
    });
  });

  test.each(LOADS)(
    "offloaded: messages of %i bytes, %i of them, in fragments of %d, come back whole whoever compresses",
    async (bytes, count, size) => {
      const messages = messagesOf(bytes, count);
      for (const offer of Object.values(OFFERS)) {
        for (const open of Object.values(offloading.proxied)) {
          const outcome = await converse(
            open,
            {
              extensions: offer,
              frames: (extensions) => framesOf(messages, extensions, size),
              echoes: count,
            },
            "random",
            random,
          );
          expect((await echoesIn(outcome)).map(String)).toEqual(messages.map(String));
          expect(outcome.close).toEqual({ code: 1000, reason: "" });
        }
      }
    },
  );

  describe("a compressed message", () => {
    const HELLO = Buffer.from("f248cdc9c90700", "hex");
    const offer = OFFERS["12.1"] ?? "";

    test.each<[string, Frame[]]>([
      [
        "that is marked again in its continuation",
        [
          text(HELLO.subarray(0, 3), { reserved: 4, isFinal: false }),
          continuation(HELLO.subarray(3), { reserved: 4 }),
        ],
      ],
      ["with another reserved bit beside its own", [text(HELLO, { reserved: 6 })]],
      [
        "behind a ping that is marked as compressed",
        [ping("", { reserved: 4 }), text(HELLO, { reserved: 4 })],
      ],
    ])("%s is refused with 1002 (RFC 7692 section 6.1)", async (_says, frames) => {
      const { alone, proxied } = await everywhere({ extensions: offer, frames, echoes: null });
      expect(alone.close?.code).toBe(1002);
      for (const outcome of proxied) expect(outcome.close?.code).toBe(1002);
    });

    test.each<[string, Frame[]]>([
      ["that is no DEFLATE is the server's to judge", [binary(Buffer.alloc(40, 0xff), { reserved: 4 })]],
      [
        "whose content is no UTF-8 is the server's to judge",
        [text(Buffer.from("fa5f00", "hex"), { reserved: 4 })],
      ],
    ])("%s", async (_says, frames) => {
      const { alone, proxied } = await everywhere({ extensions: offer, frames, echoes: null });
      expect([1002, 1007]).toContain(alone.close?.code);
      for (const outcome of proxied) expect(outcome).toEqual(alone);
    });

    test("where nothing was offered is refused with 1002", async () => {
      const { alone, proxied } = await everywhere({ frames: [text(HELLO, { reserved: 4 })], echoes: null });
      expect(alone.close?.code).toBe(1002);
      for (const outcome of proxied) expect(outcome.close?.code).toBe(1002);
    });
  });
});
