import { copyFileSync, existsSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { startFaultyBackend, startHttpBackend, startWebSocketBackend } from "./rig/backends.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { request, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { preloading, workersOf } from "./rig/processes.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, untilRefused } from "./rig/raw-peer.ts";
import { startSlowBackend } from "./rig/slow-backend.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

/** Promise 4 of the design: nothing is dropped by a reload, and a configuration that does not work changes nothing. */

useRig();

/** Brings a new conf/nginx.conf into force; the rig's own reload() takes a worker's start for the end of the reload. */
async function reloadTo(gate: Proxy, config: string): Promise<void> {
  await gate.write("conf/nginx.conf", config);
  const from = gate.stderr.text.length;
  gate.signal("SIGHUP");
  await gate.waitForLog(/ is ready$/m, from);
}

/** The same for one that is refused: resolves to what the log says about it. */
async function reloadInVain(gate: Proxy, config: string): Promise<string> {
  await gate.write("conf/nginx.conf", config);
  const from = gate.stderr.text.length;
  gate.signal("SIGHUP");
  await gate.waitForLog(/the configuration in force stays as it is$/m, from);
  return gate.stderr.text.slice(from);
}

async function bodyAt(port: number): Promise<string> {
  return (await request({ port })).body;
}

async function expectRefused(port: number): Promise<void> {
  await expect(connectRaw({ port })).rejects.toThrow(/ECONNREFUSED/);
}

async function expectEcho(tunnel: WebSocketClient, message: string): Promise<void> {
  tunnel.send(message);
  expect(await tunnel.next()).toBe(message);
}

describe.each([1, 2])("with %i workers", (workers) => {
  const main = `worker_processes ${workers}; events {}\n`;
  const serverAt = (name: string, body: string): string =>
    `server { listen 127.0.0.1:{{port:${name}}}; ${body} }`;
  const http = (...servers: readonly string[]): string =>
    `${main}http { access_log off; ${servers.join("\n")} }`;

  test("a listener that is new is opened, one that is gone closed, and what they have in common stays", async () => {
    const gate = await startGate({
      config: http(serverAt("kept", "return 200 one;"), serverAt("removed", "return 200 one;")),
    });
    await reloadTo(gate, http(serverAt("kept", "return 200 two;"), serverAt("added", "return 200 two;")));
    expect(gate.listeners.map(({ port }) => port)).toEqual([gate.port("kept"), gate.port("added")]);
    for (let i = 0; i < workers; i++) {
      expect([await bodyAt(gate.port("kept")), await bodyAt(gate.port("added"))]).toEqual(["two", "two"]);
    }
    await expectRefused(gate.port("removed"));
    await reloadTo(gate, http(serverAt("removed", "return 200 back;")));
    expect(await bodyAt(gate.port("removed"))).toBe("back");
  });

  test("the log tells of a reload what is new to be listened on and what is so no more, and nothing else", async () => {
    const gate = await startGate({ config: http(serverAt("kept", ""), serverAt("removed", "")) });
    const told = async (config: string): Promise<readonly string[]> => {
      const from = gate.stderr.text.length;
      await reloadTo(gate, config);
      const lines = gate.stderr.text.slice(from).matchAll(/: ((no longer )?listening on .*)$/gm);
      return [...lines].map(([, line = ""]) => line);
    };
    expect(await told(http(serverAt("kept", ""), serverAt("removed", "return 200;")))).toEqual([]);
    const { certificate, key } = await leafFiles();
    const added = `server { listen 127.0.0.1:{{port:added}} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; }`;
    expect(await told(http(serverAt("kept", ""), added))).toEqual([
      `no longer listening on 127.0.0.1:${gate.port("removed")}`,
      `listening on 127.0.0.1:${gate.port("added")} ssl`,
    ]);
    expect(await told(http(serverAt("kept", ""), serverAt("added", "")))).toEqual([
      `listening on 127.0.0.1:${gate.port("added")}`,
    ]);
  });

  test("a kept-alive connection gets its next answer from the new configuration", async () => {
    const gate = await startGate({ config: http(serverAt("front", "return 200 one;")) });
    const client = await connectRaw({ port: gate.port() });
    const ask = requestBytes({ headers: { Connection: "keep-alive" } });
    await client.send(ask);
    expect((await readResponse(client)).body).toBe("one");
    await reloadTo(gate, http(serverAt("front", "return 200 two;")));
    await client.send(ask);
    expect((await readResponse(client)).body).toBe("two");
  });

  test("a request in flight is answered by the upstream it was sent to, though its listener is gone", async () => {
    const slow = await startSlowBackend();
    const gate = await startGate({
      config: http(serverAt("front", `location / { proxy_pass http://${slow.address}; }`)),
    });
    const held = await slow.hold(gate.port("front"));
    await reloadTo(gate, http(serverAt("other", "return 200 other;")));
    await expectRefused(gate.port("front"));
    await held.answer();
    expect(await readResponse(held.client)).toMatchObject({ status: 200, body: "late" });
    // Whoever was served by the removed listener is not kept for a further request.
    expect(await held.client.toEnd()).toBe("");
  });

  test("a WebSocket talks on through reloads, removed listeners included, and loses not a byte", async () => {
    const backend = await startWebSocketBackend();
    const front = serverAt("front", `location / { proxy_pass http://${backend.address}; }`);
    const gate = await startGate({ config: http(front) });
    const tunnel = await connectWebSocket("ws", gate.url("ws", "/", "front"));
    const texts = Array.from({ length: 600 }, (_, i) => `${i}:${"x".repeat((i * 97) % 3000)}`);
    const talk = (async () => {
      const echoes: string[] = [];
      for (const [i, text] of texts.entries()) {
        tunnel.send(text);
        // Up to ten are under way at a time.
        if (i >= 10) echoes.push(String(await tunnel.next()));
      }
      while (echoes.length < texts.length) echoes.push(String(await tunnel.next()));
      return echoes;
    })();
    for (const body of ["a", "b", "c"])
      await reloadTo(gate, http(front, serverAt("extra", `return 200 ${body};`)));
    await reloadTo(gate, http(serverAt("extra", "return 200 d;")));
    expect(await talk).toEqual(texts);
    await expectEcho(tunnel, "after");
    expect(backend.handshakes).toHaveLength(1);
  });

  test("a broken file changes nothing, and the error log says what and where", async () => {
    const gate = await startGate({
      config: http(serverAt("front", "return 200 one;")),
      tolerates: [/unknown directive/],
    });
    const log = await reloadInVain(
      gate,
      `${main}http {\n${serverAt("front", "return 200 two;\nretrun 200;")} }`,
    );
    expect(log).toMatch(/\[emerg\] \d+#\d+: unknown directive "retrun" in .*conf\/nginx\.conf:4$/m);
    for (let i = 0; i < workers; i++) expect(await bodyAt(gate.port())).toBe("one");
    await reloadTo(gate, http(serverAt("front", "return 200 three;")));
    expect(await bodyAt(gate.port())).toBe("three");
  });

  test("a bug of the program in reading a file is reported like a fault of the file", async () => {
    const gate = await startGate({
      config: http(serverAt("front", "return 200 one;")),
      env: preloading("throw-at-user.mjs"),
      tolerates: [/internal error/],
    });
    const log = await reloadInVain(gate, `user nobody; ${http(serverAt("front", "return 200 two;"))}`);
    expect(log).toMatch(
      /\[emerg\] .*internal error .*, please report it: Error: a bug that the rig has put in \| at /,
    );
    expect(await bodyAt(gate.port())).toBe("one");
  });

  test("an address that is taken changes nothing, in any worker, and the others of the file are let go", async () => {
    const taker = createServer((socket) => socket.destroy());
    const gate = await startGate({
      config: http(serverAt("front", "return 200 one;")),
      tolerates: [/bind\(\)/],
    });
    // Gives the name a port, of which nobody knows but this test.
    await gate.write("unused", "{{port:taken}} {{port:new}}");
    await new Promise<void>((resolve) => taker.listen(gate.port("taken"), "127.0.0.1", resolve));
    const free = obtain("the taker", () => new Promise((resolve) => taker.close(() => resolve())));
    const next = http(
      serverAt("front", "return 200 two;"),
      serverAt("new", "return 200 two;"),
      serverAt("taken", "return 200 two;"),
    );
    const log = await reloadInVain(gate, next);
    const words = `bind() to 127.0.0.1:${gate.port("taken")} failed (98: Address already in use)`;
    expect(log.split(words)).toHaveLength(2);
    for (let i = 0; i < workers; i++) expect(await bodyAt(gate.port("front"))).toBe("one");
    await expectRefused(gate.port("new"));
    await free();
    await reloadTo(gate, next);
    for (const name of ["front", "new", "taken"]) expect(await bodyAt(gate.port(name))).toBe("two");
  });

  test("a log or a pid file that cannot be had changes nothing, and one that can is moved to", async () => {
    const config = (body: string, log: string, pid: string): string =>
      `pid ${pid}; ${main} http { access_log ${log}; ${serverAt("front", `return 200 ${body};`)} }`;
    const gate = await startGate({
      config: config("one", "logs/a.log", "logs/a.pid"),
      tolerates: [/open\(\)/],
    });
    expect(await reloadInVain(gate, config("two", "nowhere/b.log", "logs/b.pid"))).toMatch(
      /\[emerg\] .*open\(\) ".*nowhere\/b\.log" failed \(2: No such file or directory\)/,
    );
    expect(await reloadInVain(gate, config("two", "logs/b.log", "nowhere/b.pid"))).toMatch(
      /\[emerg\] .*open\(\) ".*nowhere\/b\.pid" failed \(2: No such file or directory\)/,
    );
    expect(await bodyAt(gate.port())).toBe("one");
    expect(gate.read("logs/a.pid")).toBe(`${gate.pid}\n`);
    await reloadTo(gate, config("three", "logs/c.log", "logs/c.pid"));
    expect(gate.read("logs/c.pid")).toBe(`${gate.pid}\n`);
    expect(existsSync(join(gate.prefix, "logs/a.pid"))).toBe(false);
    for (let i = 0; i < workers; i++) expect(await bodyAt(gate.port())).toBe("three");
    await gate.waitForFile("logs/c.log", new RegExp(`(.*GET .*\n){${workers}}`));
    expect(gate.read("logs/a.log")).not.toMatch(/(.*GET .*\n){2}/);
  });

  test("a certificate is swapped for new handshakes, and open connections go on", async () => {
    const backend = await startWebSocketBackend();
    const [one, two] = [
      await leafFiles({ names: ["localhost", "one"] }),
      await leafFiles({ names: ["localhost", "two"] }),
    ];
    const config = `${main}http { access_log off; server { listen 127.0.0.1:{{port:front}} ssl;
      ssl_certificate {{prefix}}/conf/x.crt; ssl_certificate_key {{prefix}}/conf/x.key;
      location / { proxy_pass http://${backend.address}; } } }`;
    const gate = await startGate({
      config: config.replaceAll("{{prefix}}/conf/x", one.certificate.replace(/\.crt$/, "")),
    });
    const ca = await authorityCertificate();
    const tunnel = await connectWebSocket("ws", `wss://localhost:${gate.port()}/`, { ca });
    const subjectAltName = async (): Promise<string> => {
      const { socket } = await connectRaw({ port: gate.port(), tls: { ca, servername: "localhost" } });
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was asked for with tls
      return (socket as TLSSocket).getPeerCertificate().subjectaltname ?? "";
    };
    expect(await subjectAltName()).toBe("DNS:localhost, DNS:one");
    copyFileSync(two.certificate, one.certificate);
    copyFileSync(two.key, one.key);
    // Not before it is told.
    expect(await subjectAltName()).toBe("DNS:localhost, DNS:one");
    expect(await gate.reload()).toBe(true);
    for (let i = 0; i < workers; i++) expect(await subjectAltName()).toBe("DNS:localhost, DNS:two");
    await expectEcho(tunnel, "still the first handshake");
  });

  test("ten HUPs in a row end with the last configuration, the same workers, and no file left open", async () => {
    const gate = await startGate({ config: http(serverAt("front", "return 200 first;")) });
    const pids = workersOf(gate);
    await reloadTo(gate, http(serverAt("front", "return 200 second;")));
    const before = [gate.pid, ...pids].map(openFiles);
    await gate.write("conf/nginx.conf", http(serverAt("front", "return 200 last;")));
    for (let i = 0; i < 10; i++) gate.signal("SIGHUP");
    await untilBody(gate.port(), "last");
    // Each is done, or was joined with the one before; then there is one more to be sure.
    await reloadTo(gate, http(serverAt("front", "return 200 last;")));
    expect(workersOf(gate)).toEqual(pids);
    expect([gate.pid, ...pids].map(openFiles)).toEqual(before);
  });

  test("logs that a reload renames do not stay open", async () => {
    const config = (name: string): string =>
      `${main}http { access_log logs/${name}.log; ${serverAt("front", "return 200 ok;")} }`;
    const gate = await startGate({ config: config("a") });
    for (const name of ["b", "c", "d"]) await reloadTo(gate, config(name));
    const logs = [gate.pid, ...workersOf(gate)]
      .flatMap(openFiles)
      .filter((file) => /\/[a-d]\.log$/.test(file));
    expect(new Set(logs)).toEqual(new Set([join(gate.prefix, "logs/d.log")]));
  });

  test("a log that was buffered is not any more when the configuration in force does not say so", async () => {
    const config = (buffer: string, more: string = ""): string =>
      `${main}http { access_log logs/access.log combined ${buffer}; ${serverAt("front", "return 200 ok;")} ${more} }`;
    const gate = await startGate({ config: config("buffer=64k"), tolerates: [/unknown directive/] });
    await request({ port: gate.port(), target: "/one" });
    await reloadInVain(gate, config("", "nonsense;"));
    await request({ port: gate.port(), target: "/two" });
    expect(gate.read("logs/access.log")).toBe("");
    await reloadTo(gate, config(""));
    await gate.waitForFile("logs/access.log", /GET \/one/);
    await gate.waitForFile("logs/access.log", /GET \/two/);
  });

  test("a request that began before a reload is logged where it would have been without one", async () => {
    const slow = await startSlowBackend();
    const config = (name: string): string =>
      `${main}http { access_log logs/${name}.log; ${serverAt("front", `location / { proxy_pass http://${slow.address}; }`)} }`;
    const gate = await startGate({ config: config("before") });
    const held = await slow.hold(gate.port());
    await reloadTo(gate, config("after"));
    await held.answer();
    expect((await readResponse(held.client)).body).toBe("late");
    await gate.waitForFile("logs/before.log", /GET \/slow HTTP\/1.1" 200/);
    expect(gate.read("logs/after.log")).toBe("");
  });

  test("what is known of upstreams is carried over: failed peers and open connections", async () => {
    const broken = await startFaultyBackend("reset-after-request");
    const sound = await startHttpBackend();
    const config = (header: string): string => `${main}http { access_log off;
      upstream u { server ${broken.address} max_fails=1 fail_timeout=1h; server ${sound.address}; keepalive 4; }
      ${serverAt(
        "front",
        `location / { proxy_pass http://u; add_header X-Round ${header};
         proxy_http_version 1.1; proxy_set_header Connection ""; }`,
      )} }`;
    const gate = await startGate({ config: config("one"), tolerates: [/upstream/] });
    for (let i = 0; i < 4 * workers; i++) expect((await request({ port: gate.port() })).status).toBe(200);
    expect(broken.requests).toHaveLength(workers);
    await reloadTo(gate, config("two"));
    for (let i = 0; i < 4 * workers; i++) {
      const { status, headers } = await request({ port: gate.port() });
      expect([status, headers.find(([name]) => name === "X-Round")]).toEqual([200, ["X-Round", "two"]]);
    }
    expect(broken.requests).toHaveLength(workers);
  });

  test.each([
    ["ends in order", "SIGQUIT"],
    ["ends at once", "SIGTERM"],
  ] as const)("in the middle of a reload, the gate %s by %s", async (_how, signal) => {
    const gate = await startGate({ config: http(serverAt("front", "return 200 one;")) });
    await gate.write(
      "conf/nginx.conf",
      http(serverAt("front", "return 200 two;"), serverAt("new", "return 200 two;")),
    );
    gate.signal("SIGHUP");
    gate.signal(signal);
    expect(await gate.stop(signal)).toEqual({ code: 0, signal: null });
  });
});

async function untilBody(port: number, body: string): Promise<void> {
  for (let i = 0; i < 1000; i++) if ((await bodyAt(port)) === body) return;
  throw new Error(`port ${port} never answered ${body}`);
}

/** Paths and kinds of what a process has open, sorted; empty where there is no /proc to tell. */
function openFiles(pid: number): readonly string[] {
  const folder = `/proc/${pid}/fd`;
  if (!existsSync(folder)) return [];
  const open: string[] = [];
  for (const fd of readdirSync(folder)) {
    try {
      open.push(readlinkSync(join(folder, fd)).replace(/:\[\d+\]$/, ""));
    } catch {
      // Closed meanwhile.
    }
  }
  // Connections come and go with requests.
  return open.filter((path) => path !== "socket").sort();
}

describe("worker_processes", () => {
  const config = (workers: number, body: string, location: string = ""): string =>
    `worker_processes ${workers}; events {} http { access_log off; server { listen 127.0.0.1:{{port:front}}; ${location} location = /own { return 200 ${body}; } } }`;

  test("may grow and shrink at a reload; a worker that is not needed any more keeps its tunnels until they end", async () => {
    const backend = await startWebSocketBackend();
    const proxied = `location / { proxy_pass http://${backend.address}; }`;
    const gate = await startGate({ config: config(2, "one", proxied) });
    const first = workersOf(gate);
    expect(first).toHaveLength(2);
    await reloadTo(gate, config(3, "two", proxied));
    expect(workersOf(gate)).toHaveLength(3);
    const tunnels = [];
    for (let i = 0; i < 3; i++) tunnels.push(await connectWebSocket("ws", gate.url("ws")));
    await reloadTo(gate, config(1, "three", proxied));
    for (const tunnel of tunnels) await expectEcho(tunnel, "hello");
    for (let i = 0; i < 3; i++) {
      expect((await request({ port: gate.port(), target: "/own" })).body).toBe("three");
    }
    expect(workersOf(gate)).toHaveLength(3);
    gate.signal("SIGQUIT");
    await gate.waitForLog(/gracefully shutting down/);
    for (const tunnel of tunnels) {
      await expectEcho(tunnel, "hello again");
      tunnel.close();
    }
    expect(await gate.exited).toEqual({ code: 0, signal: null });
    expect(gate.stderr.text).not.toMatch(/takes its place/);
  });

  test("cannot lead from one process to workers, which the log says, and the rest of the file is taken", async () => {
    const gate = await startGate({ config: config(1, "one") });
    await reloadTo(gate, config(2, "two"));
    await gate.waitForLog(/\[warn\] .*going from one process to workers takes a restart/);
    expect((await request({ port: gate.port(), target: "/own" })).body).toBe("two");
    expect(workersOf(gate)).toHaveLength(0);
  });
});

describe("between the main process and its workers", () => {
  const config = "worker_processes 2; events {} http { access_log off; include body.conf; }";
  // The name that stands there twice makes for a line in the log, once the file has been read.
  const bodyFile = (body: string): string =>
    `server { listen 127.0.0.1:{{port:front}}; server_name twice twice; return 200 ${body}; }`;

  test("workers get what the main process has read, not what the file says by then", async () => {
    const gate = await startGate({ config, files: { "conf/body.conf": bodyFile("one") } });
    const pids = workersOf(gate);
    // A worker that stands still has not read anything yet when the file changes under it.
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    await gate.write("conf/body.conf", bodyFile("two"));
    const from = gate.stderr.text.length;
    gate.signal("SIGHUP");
    await gate.waitForLog(/conflicting server name "twice"/, from);
    writeFileSync(join(gate.prefix, "conf/body.conf"), "half a wor");
    for (const pid of pids) process.kill(pid, "SIGCONT");
    await gate.waitForLog(/ is ready$/m, from);
    for (let i = 0; i < 2; i++) expect(await bodyAt(gate.port())).toBe("two");
  });

  test("HUPs during a reload make for one more behind it, however many come, and the last file is in force", async () => {
    const gate = await startGate({ config, files: { "conf/body.conf": bodyFile("one") } });
    const pids = workersOf(gate);
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    gate.signal("SIGHUP");
    await gate.waitForLog(/reconfiguring\n.* conflicting server name "twice"/);
    await gate.write("conf/body.conf", bodyFile("two"));
    for (let i = 0; i < 3; i++) {
      const from = gate.stderr.text.length;
      gate.signal("SIGHUP");
      await gate.waitForLog(/SIGHUP\) received, another reload follows this one$/m, from);
    }
    const from = gate.stderr.text.length;
    for (const pid of pids) process.kill(pid, "SIGCONT");
    await gate.waitForLog(/( is ready\n[^]*){2}/, from);
    for (let i = 0; i < 2; i++) expect(await bodyAt(gate.port())).toBe("two");
    await gate.stop();
    expect(gate.stderr.text.match(/reconfiguring$/gm)).toHaveLength(2);
  });

  test("QUIT waits for a reload that is under way, and closes what that has opened", async () => {
    const backend = await startWebSocketBackend();
    const proxied = `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`;
    const gate = await startGate({ config, files: { "conf/body.conf": proxied } });
    const tunnel = await connectWebSocket("ws", gate.url("ws"));
    const pids = workersOf(gate);
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    await gate.write("conf/body.conf", `${proxied} server { listen 127.0.0.1:{{port:new}}; }`);
    gate.signal("SIGHUP");
    await gate.waitForLog(/SIGHUP\) received/);
    gate.signal("SIGQUIT");
    await gate.waitForLog(/gracefully shutting down/);
    for (const pid of pids) process.kill(pid, "SIGCONT");
    for (const name of ["front", "new"]) await untilRefused(gate.port(name));
    await expectEcho(tunnel, "still here");
    tunnel.close();
    expect(await gate.exited).toEqual({ code: 0, signal: null });
  });

  test("a worker that stands still keeps TERM waiting for five seconds, and is killed with a line that says so", async () => {
    const stuck = /\[alert\] .*worker process \d+ has got no further for 5000 ms and is killed/;
    const gate = await startGate({
      config,
      files: { "conf/body.conf": bodyFile("one") },
      tolerates: [stuck],
      clockFactor: 4,
    });
    for (const pid of workersOf(gate)) process.kill(pid, "SIGSTOP");
    gate.signal("SIGHUP");
    expect(await gate.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(gate.stderr.text).toMatch(stuck);
    expect(workersOf(gate)).toEqual([]);
  });
});
