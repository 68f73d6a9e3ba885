import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { deflateRawSync, constants } from "node:zlib";
import { afterEach, expect, test } from "vitest";
import { Tunnel } from "./tunnel.ts";
import { Wire } from "./wire.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A tunnel, and the other side of its connection. */
async function openTunnel(compresses: boolean = false): Promise<{ tunnel: Tunnel; peer: Socket }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const accepted: Promise<Socket[]> = once(server, "connection");
  const socket = connect(address.port, "127.0.0.1");
  await once(socket, "connect");
  const [peer] = await accepted;
  if (peer === undefined) throw new Error("nobody came");
  peer.setNoDelay(true).on("error", () => {});
  cleanups.push(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  return { tunnel: new Tunnel(new Wire(socket), compresses), peer };
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const PONG = "\x8a\x02hi";
const FRAGMENTED = "\x01\x03hel\x89\x00\x80\x02lo";
const LONG = `\x82\x7e\x00\x80${"x".repeat(128)}`;
const CLOSE = "\x88\x05\x03\xf3bye";

test("reads the same frames wherever the stream is cut", async () => {
  const stream = bytes(PONG + FRAGMENTED + LONG + CLOSE);
  for (let cut = 1; cut < stream.length; cut += cut < 24 ? 1 : 17) {
    const { tunnel, peer } = await openTunnel();
    peer.write(stream.subarray(0, cut));
    setImmediate(() => peer.write(stream.subarray(cut)));
    await tunnel.until(() => false, 2_000);
    expect(tunnel.pongs).toEqual(["hi"]);
    expect(tunnel.messages.map(({ isText, data }) => [isText, data])).toEqual([
      [true, "hello"],
      [false, "x".repeat(128)],
    ]);
    expect(tunnel.pingsMs).toHaveLength(1);
    expect(tunnel.end).toMatchObject({ by: "close-frame", code: 1011, reason: "bye" });
  }
});

test.each([
  ["a masked frame", "\x81\x81\0\0\0\0a", "masked-server-frame"],
  ["a reserved bit", "\xc1\x01a", "reserved-bits"],
  ["text in place of a frame", "<html>", "reserved-bits"],
  ["a continuation of nothing", "\x80\x01a", "unexpected-continuation"],
  ["text that is not UTF-8", "\x81\x01\xff", "utf-8"],
])("tells %s", async (_what, frames, rule) => {
  const { tunnel, peer } = await openTunnel();
  peer.write(bytes(frames));
  await tunnel.until(() => false, 2_000);
  expect(tunnel.brokenRule).toBe(rule);
});

test("reads compressed messages that refer to what came before", async () => {
  const { tunnel, peer } = await openTunnel(true);
  const text = bytes("the same words, the same words");
  const whole = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });
  const again = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH, dictionary: text });
  for (const block of [whole, again]) {
    const payload = block.subarray(0, -4);
    peer.write(Buffer.concat([Buffer.from([0xc1, payload.length]), payload]));
  }
  await tunnel.until(() => tunnel.messages.length === 2, 2_000);
  expect(tunnel.messages.map(({ data }) => data)).toEqual([text.toString(), text.toString()]);
});

test.each([
  ["fin", (peer: Socket) => peer.end()],
  ["reset", (peer: Socket) => peer.resetAndDestroy()],
] as const)("tells an end by %s from the others", async (by, end) => {
  const { tunnel, peer } = await openTunnel();
  end(peer);
  await tunnel.until(() => false, 2_000);
  expect(tunnel.end).toMatchObject({ by, code: null });
});

test("says goodbye with a Close frame of 1000 and no longer waits than it is told to", async () => {
  const { tunnel, peer } = await openTunnel();
  const said: Promise<Buffer[]> = once(peer, "data");
  await tunnel.close(50);
  const [frame = Buffer.alloc(0)] = await said;
  expect(frame[0]).toBe(0x88);
  expect((frame[1] ?? 0) & 0x80).toBe(0x80);
  expect(((frame[6] ?? 0) ^ (frame[2] ?? 0)) * 256 + ((frame[7] ?? 0) ^ (frame[3] ?? 0))).toBe(1000);
});
