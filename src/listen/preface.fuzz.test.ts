import { createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { once } from "node:events";
import { beforeAll, describe, expect, test } from "vitest";
import { fuzzRuns, fuzzSeed, seededRandom } from "../http/random-messages.fuzz.ts";
import { readServerName } from "./client-hello.ts";
import { readProxyHeader } from "./proxy-protocol.ts";

const seed = fuzzSeed();
const runs = fuzzRuns(400);

/** What a real client of OpenSSL sends first. */
async function clientHello(servername: string): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const hello = new Promise<Buffer>((resolve) => {
    server.once("connection", (socket) => {
      socket.once("data", resolve);
      socket.on("error", () => {});
    });
  });
  const client = connectTls({ port, host: "127.0.0.1", servername });
  client.on("error", () => {});
  const bytes = await hello;
  client.destroy();
  server.close();
  return bytes;
}

/** The same handshake bytes in records of `bytes` bytes each. */
function inRecords(hello: Buffer, bytes: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += bytes) {
    const part = message.subarray(at, at + bytes);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 0xff]), part);
  }
  return Buffer.concat(records);
}

describe("readServerName", () => {
  let hello = Buffer.alloc(0);
  let nameless = Buffer.alloc(0);

  beforeAll(async () => {
    hello = Buffer.from(await clientHello("name.test"));
    nameless = Buffer.from(await clientHello(""));
  });

  test("finds the name in what OpenSSL sends, and none where there is none", () => {
    expect(readServerName(hello)).toEqual({ kind: "name", name: "name.test" });
    expect(readServerName(nameless)).toEqual({ kind: "name", name: null });
  });

  test("waits for the rest wherever the message is cut, also in records of any size", () => {
    // As many records as are looked at; a ClientHello with keys against quantum computers has 1.5 kB.
    for (const bytes of [Math.ceil(hello.length / 16), Math.ceil(hello.length / 3), hello.length]) {
      const wire = inRecords(hello, bytes);
      for (let cut = 0; cut < wire.length; cut++) {
        expect(readServerName(wire.subarray(0, cut)), `${cut} in records of ${bytes}`).toEqual({
          kind: "more",
        });
      }
      expect(readServerName(wire)).toEqual({ kind: "name", name: "name.test" });
    }
  });

  test("leaves a message in very many records to OpenSSL", () => {
    expect(readServerName(inRecords(hello, 1))).toEqual({ kind: "name", name: null });
  });

  test("finds no name in a message that is not a ClientHello, nor in one that is longer than any", () => {
    expect(readServerName(Buffer.from("16030100050200000100", "hex"))).toEqual({ kind: "name", name: null });
    expect(readServerName(Buffer.from("1603010004010fffff", "hex"))).toEqual({ kind: "name", name: null });
    expect(readServerName(Buffer.from("1503010002ffff", "hex"))).toEqual({ kind: "name", name: null });
  });

  test("survives every change of a byte, and finds no name that is not there", () => {
    const random = seededRandom(seed);
    for (let run = 0; run < runs; run++) {
      const broken = Buffer.from(hello);
      broken[Math.floor(random() * broken.length)] = Math.floor(random() * 256);
      const result = readServerName(broken);
      const name = result.kind === "name" ? (result.name ?? "") : "";
      expect(broken.includes(name, 0, "latin1"), `seed ${seed}, run ${run}`).toBe(true);
    }
  });
});

describe("readProxyHeader", () => {
  test("takes no noise for more than there is, and does not change its mind when more comes", () => {
    const random = seededRandom(seed);
    const starts = ["PROXY TCP4 ", "PROXY ", "\r\n\r\n\0\r\nQUIT\n\x21\x11", "\r\n\r\n\0\r\nQUIT\n\x20", ""];
    for (let run = 0; run < runs; run++) {
      const start = Buffer.from(starts[run % starts.length] ?? "", "latin1");
      const noise = Buffer.from(
        Array.from({ length: Math.floor(random() * 80) }, () => Math.floor(random() * 256)),
      );
      const bytes = Buffer.concat([start, noise]);
      const whole = readProxyHeader(bytes);
      const used = whole.kind === "header" ? whole.bytes : 0;
      expect(used, `seed ${seed}, run ${run}`).toBeLessThanOrEqual(bytes.length);
      const verdicts = Array.from(bytes, (_, cut) => readProxyHeader(bytes.subarray(0, cut)));
      const early = verdicts.filter(({ kind }) => kind !== "more");
      expect(early, `seed ${seed}, run ${run}`).toEqual(early.map(() => whole));
    }
  });
});
