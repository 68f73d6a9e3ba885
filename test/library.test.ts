import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { ConfigurationError, createGate, type GateAddress, type WebSocketGate } from "../src/library.ts";
import { startWebSocketBackend } from "./rig/backends.ts";
import { leafFiles } from "./rig/certificates.ts";
import { request } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { REPOSITORY, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { startSlowBackend } from "./rig/slow-backend.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

/** The proxy inside somebody else's process. */

useRig();

const ONE = 'server { listen 127.0.0.1:0; return 200 "one"; }';
const TWO = 'server { listen 127.0.0.1:0; return 200 "two"; }';

function configuration(http: string): string {
  return `http { access_log off; ${http} }`;
}

/** Closed after the test, if not by it. */
function keep(gate: WebSocketGate): WebSocketGate {
  obtain("a gate", () => gate.close({ force: true }));
  return gate;
}

function gateWith(http: string): WebSocketGate {
  return keep(createGate({ config: configuration(http), prefix: temporaryFolder() }));
}

async function refusalOf(attempt: Promise<unknown>): Promise<ConfigurationError> {
  const error: unknown = await attempt.catch((reason: unknown) => reason);
  if (error instanceof ConfigurationError) return error;
  throw new Error(`not refused: ${String(error)}`);
}

function portOf(gate: WebSocketGate): number {
  return gate.addresses[0]?.port ?? 0;
}

async function bodyOf(gate: WebSocketGate): Promise<string> {
  return (await request({ port: portOf(gate) })).body;
}

test("a gate made of text listens on a free port and says which", async () => {
  const gate = gateWith(ONE);
  expect(gate.addresses).toEqual([]);
  const [address] = await gate.listen();
  expect(address?.port).toBeGreaterThan(0);
  expect(gate.addresses).toEqual([
    { url: `http://127.0.0.1:${address?.port}`, host: "127.0.0.1", port: address?.port, tls: false },
  ]);
  expect(await bodyOf(gate)).toBe("one");
});

test("addresses of every kind are told as URLs", async () => {
  const { certificate, key } = await leafFiles();
  const path = join(temporaryFolder(), "gate.sock");
  const gate = gateWith(
    `server { listen [::1]:0 ssl; listen unix:${path}; ssl_certificate ${certificate}; ssl_certificate_key ${key}; return 200 $scheme; }`,
  );
  const [tls, unix] = await gate.listen();
  expect(tls).toEqual({ url: `https://[::1]:${tls?.port}`, host: "::1", port: tls?.port, tls: true });
  expect(unix).toEqual({ url: `unix:${path}`, host: path, port: 0, tls: false });
  expect((await request({ path })).body).toBe("http");
});

test("text may include files, relative to the prefix", async () => {
  const prefix = temporaryFolder();
  mkdirSync(join(prefix, "parts"));
  writeFileSync(join(prefix, "parts", "server.conf"), ONE);
  const gate = keep(createGate({ config: configuration("include parts/*.conf;"), prefix }));
  await gate.listen();
  expect(await bodyOf(gate)).toBe("one");
});

test("events tell of each step, in order", async () => {
  const gate = gateWith(ONE);
  const events: string[] = [];
  gate.on("listening", (addresses: readonly GateAddress[]) => events.push(`listening ${addresses.length}`));
  gate.on("reload", () => events.push("reload"));
  gate.on("close", () => events.push("close"));
  await gate.listen();
  await gate.reload({ config: configuration(ONE + TWO) });
  await gate.close();
  await gate.close();
  expect(events).toEqual(["listening 1", "reload", "listening 2", "close"]);
});

test("a reload with other text is in force when it resolves, on the same port", async () => {
  const gate = gateWith(ONE);
  const [before] = await gate.listen();
  const [after] = await gate.reload({ config: configuration(TWO) });
  expect(after).toEqual(before);
  expect(await bodyOf(gate)).toBe("two");
});

test("a reload without options reads the same file again", async () => {
  const file = join(temporaryFolder(), "nginx.conf");
  writeFileSync(file, configuration(ONE));
  const gate = keep(createGate({ file }));
  await gate.listen();
  writeFileSync(file, configuration(TWO));
  await gate.reload();
  expect(await bodyOf(gate)).toBe("two");
});

test("a broken file is refused with its diagnostics and changes nothing", async () => {
  const file = join(temporaryFolder(), "nginx.conf");
  writeFileSync(file, configuration(ONE));
  const gate = keep(createGate({ file }));
  await gate.listen();
  writeFileSync(file, configuration("server { listen 127.0.0.1:0; retrun 200; }"));
  const refusal = await refusalOf(gate.reload());
  expect(refusal.message).toMatch(/^wsgate: \[emerg\] unknown directive "retrun" in .*nginx\.conf:1\n/);
  expect(refusal.diagnostics).toMatchObject([
    { code: "unknown-directive", suggestion: 'did you mean "return"?' },
  ]);
  expect(await bodyOf(gate)).toBe("one");
});

test("an address that is taken is refused with nginx's words, nothing stays open, and it may be tried again", async () => {
  const first = gateWith(ONE);
  await first.listen();
  const port = portOf(first);
  const second = gateWith(`server { listen 127.0.0.1:0; listen 127.0.0.1:${port}; return 200 "second"; }`);
  const refusal = await refusalOf(second.listen());
  expect(refusal.message).toContain(`bind() to 127.0.0.1:${port} failed (98: Address already in use)`);
  expect(refusal.diagnostics).toMatchObject([{ code: "bind-failed" }]);
  expect(second.addresses).toEqual([]);
  await first.close();
  await second.listen();
  expect((await request({ port })).body).toBe("second");
});

test("several gates live in one process without knowing of each other", async () => {
  const [one, two] = [gateWith(ONE), gateWith(TWO)];
  await Promise.all([one.listen(), two.listen()]);
  expect([await bodyOf(one), await bodyOf(two)]).toEqual(["one", "two"]);
  const port = portOf(one);
  await one.close();
  await expect(connectRaw({ port })).rejects.toThrow(/ECONNREFUSED/);
  expect(await bodyOf(two)).toBe("two");
});

test("close waits for a request in flight and for a tunnel, and takes nothing new", async () => {
  const slow = await startSlowBackend();
  const chat = await startWebSocketBackend();
  const gate = gateWith(`websocket_drain off; server { listen 127.0.0.1:0;
    location / { proxy_pass http://${slow.address}; }
    location /chat { proxy_pass http://${chat.address}; } }`);
  await gate.listen();
  const port = portOf(gate);
  const held = await slow.hold(port);
  const tunnel = await connectWebSocket("ws", `ws://127.0.0.1:${port}/chat`);
  let isClosed = false;
  gate.once("close", () => {
    isClosed = true;
  });
  const closing = gate.close();
  await expect(connectRaw({ port })).rejects.toThrow(/ECONNREFUSED/);
  expect(gate.addresses).toEqual([]);
  await held.answer();
  expect((await readResponse(held.client)).body).toBe("late");
  tunnel.send("still here");
  expect([await tunnel.next(), isClosed]).toEqual(["still here", false]);
  tunnel.close();
  await closing;
  expect(isClosed).toBe(true);
});

test("close with force ends everything at once, also what an earlier close waits for", async () => {
  const chat = await startWebSocketBackend();
  const gate = gateWith(`server { listen 127.0.0.1:0; location / { proxy_pass http://${chat.address}; } }`);
  await gate.listen();
  const tunnel = await connectWebSocket("ws", `ws://127.0.0.1:${portOf(gate)}/`);
  const patient = gate.close();
  await gate.close({ force: true });
  await patient;
  expect((await tunnel.closed).code).toBe(1001);
});

test("close drains tunnels as websocket_drain says", async () => {
  const chat = await startWebSocketBackend();
  const gate = gateWith(`websocket_drain 300ms;
    server { listen 127.0.0.1:0; location / { proxy_pass http://${chat.address}; } }`);
  await gate.listen();
  const tunnel = await connectWebSocket("ws", `ws://127.0.0.1:${portOf(gate)}/`);
  await gate.close();
  expect((await tunnel.closed).code).toBe(1012);
});

test("drain ends tunnels and refuses new ones while everything else goes on, until a reload", async () => {
  const chat = await startWebSocketBackend();
  const gate = gateWith(`websocket_drain 300ms; server { listen 127.0.0.1:0;
    location / { return 200 one; } location /chat { proxy_pass http://${chat.address}; } }`);
  await expect(gate.drain()).rejects.toThrow(/does not listen/);
  await gate.listen();
  const url = `ws://127.0.0.1:${portOf(gate)}/chat`;
  const tunnel = await connectWebSocket("ws", url);
  expect(await gate.drain()).toBe(true);
  expect((await tunnel.closed).code).toBe(1012);
  await expect(connectWebSocket("ws", url)).rejects.toThrow(/503/);
  expect(await bodyOf(gate)).toBe("one");
  await gate.reload();
  const again = await connectWebSocket("ws", `ws://127.0.0.1:${portOf(gate)}/chat`);
  const drained = gate.drain();
  await gate.reload();
  expect([await drained, (await again.closed).code]).toEqual([false, 1012]);
});

test("two gates in one process drain each their own tunnels", async () => {
  const chat = await startWebSocketBackend();
  const server = `websocket_drain 300ms; server { listen 127.0.0.1:0; location / { proxy_pass http://${chat.address}; } }`;
  const [one, two] = [gateWith(server), gateWith(server)];
  await Promise.all([one.listen(), two.listen()]);
  const tunnel = await connectWebSocket("ws", `ws://127.0.0.1:${portOf(two)}/`);
  expect(await one.drain()).toBe(true);
  tunnel.send("still here");
  expect(await tunnel.next()).toBe("still here");
});

test("close with force while it begins to listen leaves nothing open", async () => {
  const gate = gateWith(ONE);
  const [listening] = await Promise.all([gate.listen(), gate.close({ force: true })]);
  expect(gate.addresses).toEqual([]);
  await expect(connectRaw({ port: listening[0]?.port ?? 0 })).rejects.toThrow(/ECONNREFUSED/);
});

test("what comes at the wrong time is refused as a mistake of the caller", async () => {
  expect(() => createGate({})).toThrow(TypeError);
  expect(() => createGate({ config: "", file: "x" })).toThrow(TypeError);
  const gate = gateWith(ONE);
  await expect(gate.reload()).rejects.toThrow(/does not listen/);
  await gate.listen();
  await expect(gate.listen()).rejects.toThrow(/listens once/);
  await gate.close();
  await expect(gate.reload()).rejects.toThrow(/does not listen/);
  await expect(gate.listen()).rejects.toThrow(/listens once/);
});

const CONSUMER = `
import { createServer } from "node:net";
import { ConfigurationError, createGate, type Diagnostic, type GateAddress, type WebSocketGate } from "wsgate";

const gate: WebSocketGate = createGate({ config: "http { access_log off; server { listen 127.0.0.1:0; return 200 packed; } }" });
gate.on("listening", (addresses: readonly GateAddress[]) => addresses.map(({ url }) => url.toUpperCase()));
gate.once("close", () => {});
// @ts-expect-error -- there is no such event
gate.on("nonsense", () => {});
const [address] = await gate.listen();
const answer = await fetch(address?.url ?? "");
console.log(await answer.text());
const taken = createServer().listen(0, "127.0.0.1");
try {
  await gate.reload({ config: "nonsense;" });
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error;
  const first: Diagnostic | undefined = error.diagnostics[0];
  console.log(first?.code, first?.severity, first?.span?.line);
}
taken.close();
await gate.close({ force: true });
`;

test("the packed package can be imported, and its types hold for a strict consumer", () => {
  const folder = temporaryFolder();
  const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
    cwd: REPOSITORY,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const tarball = /"filename": "(.*)"/.exec(packed)?.[1] ?? "";
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "wsgate"), { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, tarball), "-C", join(modules, "wsgate"), "--strip-components=1"]);
  mkdirSync(join(modules, "@types"));
  symlinkSync(join(REPOSITORY, "node_modules/@types/node"), join(modules, "@types/node"));
  symlinkSync(join(REPOSITORY, "node_modules/undici-types"), join(modules, "undici-types"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "consumer.ts"), CONSUMER);
  const compiler = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
  const strict = [
    "--strict",
    "--exactOptionalPropertyTypes",
    "--noUncheckedIndexedAccess",
    "--types",
    "node",
  ];
  const as = ["--target", "es2023", "--module", "nodenext", "--outDir", "."];
  const compiled = spawnSync(process.execPath, [join(compiler, "bin/tsc"), ...strict, ...as, "consumer.ts"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(compiled.stdout).toBe("");
  const run = spawnSync(process.execPath, ["consumer.js"], { cwd: folder, encoding: "utf8" });
  expect([run.stdout, run.stderr]).toEqual(["packed\nunknown-directive emerg 1\n", ""]);
});
