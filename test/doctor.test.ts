import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { switching } from "./clinic/applications.ts";
import { startConnectionBackend, startHttpBackend, startWebSocketBackend } from "./rig/backends.ts";
import { nextTurn, within } from "./rig/deadline.ts";
import { readRequest } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { GrowingText } from "./rig/log.ts";
import { preloading } from "./rig/processes.ts";
import {
  type Command,
  REPOSITORY,
  runGate,
  startCommand,
  startGate,
  startNginx,
  temporaryFolder,
} from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";

useRig();

describe("the exit code", () => {
  test("is 0 for a server that is healthy, and the report says so first", async () => {
    const backend = await startWebSocketBackend();
    const run = await runGate(["doctor", `ws://${backend.address}/chat`]);
    expect(run.stdout).toMatch(/^Healthy: /);
    expect(run.stderr).toBe("");
    expect(run.code).toBe(0);
  });

  test("is 1 for one that is sick, and the report begins with the illness and how sure it is", async () => {
    const backend = await startWebSocketBackend();
    const run = await runGate(["doctor", `wss://${backend.address}/chat`]);
    expect(run.stdout).toMatch(
      /^Sick \(tls-to-plain-port, certain\): wss:\/\/ was sent to a port that speaks no TLS/,
    );
    expect(run.code).toBe(1);
  });

  test("is 2 where it cannot tell: a server that takes three handshakes and no more", async () => {
    const backend = await startConnectionBackend(async (peer, index) => {
      const request = await readRequest(peer);
      const answer = switching();
      if (index > 3 || typeof answer !== "function") peer.reset();
      else await answer(request, peer);
    });
    const run = await runGate(["doctor", `ws://${backend.address}/chat`]);
    expect(run.stdout).toMatch(/^Could not tell/);
    expect(run.code).toBe(2);
  });

  test.each([
    [["--hold", "soon"], '--hold wants a time such as 500ms, 5s or 2m, not "soon"'],
    [["--header", "Cookie"], '--header wants "Name: value", not "Cookie"'],
    [["--lang", "fr"], '--lang wants en or zh, not "fr"'],
    [["--max-message", "1g"], '--max-message wants a size up to 16m, such as 64k, not "1g"'],
    [["--page", "chat.html"], '--page wants an http or https URL, not "chat.html"'],
    [["--resolve", "example.com"], '--resolve wants HOST:ADDRESS, not "example.com"'],
    [["--config", "/nowhere/nginx.conf"], "cannot read /nowhere/nginx.conf (2: No such file or directory)"],
    [["--resolve", "example.com:here"], '--resolve wants an IP address for HOST, not "here"'],
    [["--dns", "nowhere"], '--dns wants an address such as 10.0.0.2 or 10.0.0.2:53, not "nowhere"'],
    [["--ca", "package.json"], "--ca wants a file with a certificate in PEM, which package.json is not"],
    [["--origin", "a\r\nb"], "--origin wants an origin such as https://example.com"],
    [["--subprotocol", "a, b"], '--subprotocol wants one name without spaces and commas, not "a, b"'],
    [["ws://other/"], 'one URL at a time, not "ws://other/" besides'],
  ])("is 2 for the arguments %j, which get an explanation", async (args, message) => {
    const run = await runGate(["doctor", "ws://localhost/", ...args]);
    expect(run.stderr).toContain(message);
    expect(run.stdout).toBe("");
    expect(run.code).toBe(2);
  });
});

test("a page of wsgate's own says that no location takes the path, not that the Upgrade is lost", async () => {
  const gate = await startGate({
    config: "http { server { listen 127.0.0.1:{{port:http}}; location / { return 404; } } }",
  });
  const run = await runGate(["doctor", gate.url("ws", "/caht")]);
  expect(run.stdout).toMatch(/^Sick \(path-not-routed, very likely\)/);
  expect(run.stdout).toContain("The page is wsgate's own");
  expect(run.stdout).not.toContain("upgrade-lost");
});

test("a URL without a scheme is written out with its port", async () => {
  const backend = await startWebSocketBackend();
  const run = await runGate(["doctor", `${backend.address}/chat`]);
  expect(run.stdout).toContain(`new WebSocket("ws://${backend.address}/chat")`);
});

describe("the reports", () => {
  const SECRET_URL = "/chat?token=s3cret-value-1&room=7";
  const SECRET_HEADER = ["--header", "Cookie: sid=s3cret-value-2"];

  async function startGossip(): Promise<string> {
    const backend = await startHttpBackend((seen, response) => {
      response.writeHead(403, { "set-cookie": "id=s3cret-value-3", "content-type": "text/plain" });
      response.end(`no entry for ${seen.headers["cookie"]} with ${seen.url}`);
    });
    return backend.address;
  }

  test.each([[[]], [["--markdown"]], [["--json"]]])(
    "with %j hold none of the secrets that were sent, received or repeated",
    async (format) => {
      const address = await startGossip();
      const run = await runGate(["doctor", `ws://${address}${SECRET_URL}`, ...SECRET_HEADER, ...format]);
      expect(run.stdout).toContain("no entry for");
      expect(run.stdout).not.toContain("s3cret");
      expect(run.stdout).not.toContain("room=7");
      expect(run.code).toBe(1);
    },
  );

  test("for machines say the state, the causes and the evidence as data", async () => {
    const address = await startGossip();
    const run = await runGate(["doctor", `ws://${address}/chat`, "--json"]);
    expect(JSON.parse(run.stdout)).toMatchObject({
      version: 1,
      state: "sick",
      causes: [{ id: "forbidden", certainty: expect.any(Number), mends: expect.any(Array) }],
      walk: { handshake: { outcome: { kind: "answer", answer: { status: 403 } } } },
      backend: null,
    });
  });

  test("for a ticket begin with the URL and keep the evidence folded up", async () => {
    const address = await startGossip();
    const run = await runGate(["doctor", `ws://${address}/chat`, "--markdown"]);
    expect(run.stdout).toMatch(new RegExp(`^# WebSocket: ws://${address}/chat\n`));
    expect(run.stdout).toContain("<details><summary>Evidence</summary>");
    expect(run.stdout).toContain(`WebSocket connection to 'ws://${address}/chat' failed`);
  });

  test("in Chinese say the same as in English", async () => {
    const backend = await startWebSocketBackend();
    const run = await runGate(["doctor", `wss://${backend.address}/chat`, "--lang", "zh"]);
    expect(run.stdout).toMatch(/^有问题 \(tls-to-plain-port, 确定\): wss:\/\/ 连到了不支持 TLS 的端口/);
    expect(run.code).toBe(1);
  });

  test("show the mends for the product that was asked for", async () => {
    const backend = await startHttpBackend();
    const run = await runGate(["doctor", `ws://${backend.address}/chat`, "--for", "apache"]);
    expect(run.stdout).toContain("[apache]");
    expect(run.stdout).not.toContain("[nginx]");
  });
});

test("names the line of the configuration that explains what was found", async (context) => {
  requires(context, "nginx");
  const backend = await startWebSocketBackend();
  const proxy = await startNginx({
    http: `server { listen 127.0.0.1:{{port:front}};
location /ws/ { proxy_pass http://${backend.address}; proxy_set_header Upgrade $http_upgrade; } }`,
  });
  const config = join(temporaryFolder(), "nginx.conf");
  writeFileSync(config, proxy.read("conf/nginx.conf"));
  const without = await runGate(["doctor", proxy.url("ws", "/ws/a"), "--json"]);
  const run = await runGate(["doctor", proxy.url("ws", "/ws/a"), "--json", "--config", config]);
  const certainty = (text: string): number => Number(/"certainty": ([\d.]+)/.exec(text)?.[1]);
  expect(run.stdout).toMatch(/nginx\.conf:5: .*\(upgrade-half-set\)/);
  expect(certainty(run.stdout)).toBeGreaterThan(certainty(without.stdout));
});

test("asks about the location that takes the URL's path, whatever it is called", async (context) => {
  requires(context, "nginx");
  const backend = await startWebSocketBackend();
  const proxy = await startNginx({
    http: `upstream app { server ${backend.address}; keepalive 16; }
server { listen 127.0.0.1:{{port:front}};
location /chat { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
  });
  const config = join(temporaryFolder(), "nginx.conf");
  writeFileSync(config, proxy.read("conf/nginx.conf"));
  const run = await runGate(["doctor", proxy.url("ws", "/chat"), "--config", config]);
  expect(run.stdout).toMatch(/^Sick \(upgrade-lost, very likely\)/);
  expect(run.stdout).toMatch(/nginx\.conf:\d+: .*\(upgrade-(headers-missing|half-set)\)/);
});

test("leaves every tunnel with a Close frame, so that no log shows 1006", async () => {
  const codes: number[] = [];
  const backend = await startWebSocketBackend({
    onSocket: (socket) => {
      socket.on("message", (data) => socket.send(data));
      socket.on("close", (code) => codes.push(code));
    },
  });
  const run = await runGate(["doctor", `ws://${backend.address}/chat`, "--hold", "300ms"]);
  expect(run.code).toBe(0);
  expect(codes).toEqual(codes.map(() => 1000));
});

test("lets no server steer the terminal that shows its answer", async () => {
  const backend = await startHttpBackend((_seen, response) => {
    response.writeHead(403, { "x-note": "a\u009b31mb" });
    response.end("\u001b]0;owned\u0007\u001b[2J\u202egnp.exe");
  });
  for (const format of [[], ["--markdown"]]) {
    const run = await runGate(["doctor", `ws://${backend.address}/chat`, ...format]);
    expect(run.stdout).toContain("owned");
    expect(run.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
  }
});

test("shows what it waits for on a terminal, and wipes it away", async (context) => {
  requires(context, "script");
  const backend = await startWebSocketBackend();
  const gate = join(REPOSITORY, "bin/wsgate");
  const typed = `${process.execPath} ${gate} doctor ws://${backend.address}/chat --hold 300ms`;
  const run = spawn("script", ["--quiet", "--return", "--command", typed, "/dev/null"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let shown = "";
  run.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    shown += chunk;
  });
  const [code]: unknown[] = await within(once(run, "close"), "the doctor on a terminal to end");
  expect(shown).toContain("\r\u001b[K… watching silent tunnels / 0.3 s");
  expect(shown).toContain("\r\u001b[KHealthy: ");
  expect(code).toBe(0);
});

describe("Ctrl-C", () => {
  /** A doctor that watches idle tunnels and has begun to ping in one of them. Its time runs `clockFactor` times as fast. */
  async function startHolding(
    hold: string,
    clockFactor: number,
    onSocket: (socket: WebSocket) => void,
  ): Promise<Command> {
    const pings = new GrowingText();
    const backend = await startWebSocketBackend({
      onSocket: (socket) => {
        socket.on("message", (data) => socket.send(data));
        socket.on("ping", (payload) => pings.push(`${payload.toString()}\n`));
        onSocket(socket);
      },
    });
    const args = ["doctor", `ws://${backend.address}/chat`, "--hold", hold, "--timeout", "2m"];
    const env = { ...preloading("fast-clock.mjs"), RIG_CLOCK_FACTOR: String(clockFactor) };
    const command = startCommand(args, { env });
    await pings.waitFor(/^hold 0$/m);
    return command;
  }

  test("during a hold gives the verdict on what was seen until then, and says that it was cut short", async () => {
    const codes: number[] = [];
    const command = await startHolding("2m", 20, (socket) => socket.on("close", (code) => codes.push(code)));
    command.signal("SIGINT");
    expect(await within(command.exited, "the doctor to end")).toEqual({ code: 0, signal: null });
    expect(command.stdout.text).toMatch(
      /^Healthy: .*\n\nThe hold was cut short: idle tunnels were watched for [\d.]+ s of 120\.0 s, and what comes later is not known\.\n/,
    );
    expect(command.stdout.text).toMatch(/silent tunnel: alive after [\d.]+ s\n/);
    expect(codes).toEqual(codes.map(() => 1000));
  });

  test("the second time ends it at once", async () => {
    // The Close frame is not answered, which is waited for.
    const command = await startHolding("2s", 0.5, (socket) => socket.on("ping", () => socket.pause()));
    const interrupt = async (): Promise<void> => {
      while (command.isAlive()) {
        command.signal("SIGINT");
        await nextTurn();
      }
    };
    await within(interrupt(), "the doctor to end");
    expect(await command.exited).toEqual({ code: 130, signal: null });
    expect(command.stdout.text).toBe("");
  });

  test("before there is anything to say ends it at once", async () => {
    const asked = new GrowingText();
    const backend = await startConnectionBackend(async (peer) => {
      asked.push((await readRequest(peer)).target);
    });
    const command = startCommand(["doctor", `ws://${backend.address}/chat`, "--hold", "1m"]);
    await asked.waitFor(/chat/);
    command.signal("SIGINT");
    expect(await within(command.exited, "the doctor to end")).toEqual({ code: 130, signal: null });
    expect(command.stdout.text).toBe("");
  });
});
