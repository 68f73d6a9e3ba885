import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigurationError, createGate, type WebSocketGate } from "../src/library.ts";

let folder: string;
const gates: WebSocketGate[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wsgate-library-"));
});

afterEach(async () => {
  for (const gate of gates.splice(0)) await gate.close({ force: true });
  rmSync(folder, { recursive: true, force: true });
});

function gateWith(http: string): WebSocketGate {
  const gate = createGate({ config: configuration(http), prefix: folder });
  gates.push(gate);
  return gate;
}

function configuration(http: string): string {
  return `http { access_log off; ${http} }`;
}

async function textOf(gate: WebSocketGate, path = "/"): Promise<string> {
  const [address] = gate.addresses;
  const answer = await fetch(`${address?.url ?? ""}${path}`);
  return answer.text();
}

test("a gate made of text listens on a free port and says which", async () => {
  const gate = gateWith('server { listen 127.0.0.1:0; return 200 "one"; }');
  expect(gate.addresses).toEqual([]);
  const addresses = await gate.listen();
  expect(addresses).toHaveLength(1);
  expect(addresses[0]).toMatchObject({ host: "127.0.0.1", tls: false });
  expect(addresses[0]?.port).toBeGreaterThan(0);
  expect(await textOf(gate)).toBe("one");
});

test("a reload with other text is in force when it resolves, on the same port", async () => {
  const gate = gateWith('server { listen 127.0.0.1:0; return 200 "one"; }');
  const [before] = await gate.listen();
  const events: string[] = [];
  gate.on("reload", () => events.push("reload"));
  const [after] = await gate.reload({
    config: configuration('server { listen 127.0.0.1:0; return 200 "two"; }'),
    prefix: folder,
  });
  expect(after).toEqual(before);
  expect(await textOf(gate)).toBe("two");
  expect(events).toEqual(["reload"]);
});

test("a reload of a broken file is refused with its diagnostics and changes nothing", async () => {
  const file = join(folder, "nginx.conf");
  writeFileSync(file, configuration('server { listen 127.0.0.1:0; return 200 "one"; }'));
  const gate = createGate({ file, prefix: folder });
  gates.push(gate);
  await gate.listen();
  writeFileSync(file, configuration("server { listen 127.0.0.1:0; retrun 200; }"));
  const refusal = await gate.reload().catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ConfigurationError);
  expect(refusal).toMatchObject({
    diagnostics: [{ code: "unknown-directive", suggestion: 'did you mean "return"?' }],
  });
  expect(await textOf(gate)).toBe("one");
});

test("an address that is taken is refused with nginx's words, and nothing stays open", async () => {
  const first = gateWith('server { listen 127.0.0.1:0; return 200 "one"; }');
  const [address] = await first.listen();
  const port = address?.port ?? 0;
  const second = gateWith(`server { listen 127.0.0.1:0; listen 127.0.0.1:${port}; }`);
  await expect(second.listen()).rejects.toThrow(
    `bind() to 127.0.0.1:${port} failed (98: Address already in use)`,
  );
  expect(second.addresses).toEqual([]);
});

test("close lets a request in flight come to its end and then resolves", async () => {
  const gate = gateWith('server { listen 127.0.0.1:0; return 200 "done"; }');
  const [address] = await gate.listen();
  const socket = connect(address?.port ?? 0, "127.0.0.1");
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  const ended = new Promise((resolve) => socket.on("close", resolve));
  await new Promise((resolve) => socket.on("connect", resolve));
  // Half a head: a request has begun.
  socket.write("GET / HTTP/1.1\r\n");
  socket.write("Host: x\r\nConnection: close\r\n\r\n");
  await ended;
  expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  await gate.close();
  await expect(fetch(`http://127.0.0.1:${address?.port ?? 0}/`)).rejects.toThrow("fetch failed");
});

test("neither config nor file, or both, is a mistake of the caller", () => {
  expect(() => createGate({})).toThrow(TypeError);
  expect(() => createGate({ config: "", file: "x" })).toThrow(TypeError);
});
