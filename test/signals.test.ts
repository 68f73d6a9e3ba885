import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startWebSocketBackend } from "./rig/backends.ts";
import { request } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { readFileIfAny, waitForFile } from "./rig/log.ts";
import { isAlive, preloading, untilGone, workersOf } from "./rig/processes.ts";
import {
  type Proxy,
  REPOSITORY,
  runGate,
  startCommand,
  startGate,
  temporaryFolder,
} from "./rig/proxy-process.ts";
import { untilRefused } from "./rig/raw-peer.ts";
import { startSlowBackend } from "./rig/slow-backend.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

/** Signals, `-s`, the pid file and the background, as those who operate a server rely on them. */

useRig();

const WORKERS = [1, 2];

/** A gate in front of `backend`. */
function startFront(
  workers: number,
  backend: { address: string },
  main: string = "",
  http: string = "",
): Promise<Proxy> {
  return startGate({
    config: `worker_processes ${workers};\n${main}\nevents {}\nhttp { access_log logs/access.log; ${http} server {
      listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; }
      location = /own { return 200 own; }
    } }`,
  });
}

function openTunnel(gate: Proxy): Promise<WebSocketClient> {
  return connectWebSocket("ws", gate.url("ws"));
}

async function expectEcho(tunnel: WebSocketClient, message: string): Promise<void> {
  tunnel.send(message);
  expect(await tunnel.next()).toBe(message);
}

describe.each(WORKERS)("with %i workers", (workers) => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s ends at once; a tunnel is told", async (signal) => {
    const backend = await startWebSocketBackend();
    const gate = await startFront(workers, backend);
    const tunnel = await openTunnel(gate);
    await expectEcho(tunnel, "hello");
    expect(await gate.stop(signal)).toEqual({ code: 0, signal: null });
    expect(await tunnel.closed).toEqual({ code: 1001, reason: "the proxy is going down" });
  });

  test("a configuration that listens nowhere is served until a signal, too", async () => {
    const gate = await startGate({ config: `worker_processes ${workers};\nevents {}\n` });
    gate.signal("SIGHUP");
    await gate.waitForLog(/reconfiguring[^]*is ready/);
    expect(await gate.stop("SIGTERM")).toEqual({ code: 0, signal: null });
  });

  test("QUIT waits for a request in flight, and takes nothing new", async () => {
    const slow = await startSlowBackend();
    const gate = await startFront(workers, slow);
    const held = await slow.hold(gate.port());
    gate.signal("SIGQUIT");
    await gate.waitForLog(/gracefully shutting down/);
    await untilRefused(gate.port());
    await held.answer();
    expect(await readResponse(held.client)).toMatchObject({ status: 200, body: "late" });
    expect(await gate.exited).toEqual({ code: 0, signal: null });
  });

  test("a tunnel that is not drained outlasts QUIT, a second one and HUP, and its end is that of the process", async () => {
    const gate = await startFront(workers, await startWebSocketBackend(), "", "websocket_drain off;");
    const tunnel = await openTunnel(gate);
    gate.signal("SIGQUIT");
    await gate.waitForLog(/gracefully shutting down/);
    gate.signal("SIGQUIT");
    gate.signal("SIGHUP");
    await gate.waitForLog(/SIGHUP\) received, ignored: shutting down/);
    await expectEcho(tunnel, "still here");
    expect(isAlive(gate.pid)).toBe(true);
    tunnel.close();
    expect(await gate.exited).toEqual({ code: 0, signal: null });
  });

  test("TERM after QUIT does not wait any more", async () => {
    const gate = await startFront(workers, await startWebSocketBackend());
    const tunnel = await openTunnel(gate);
    gate.signal("SIGQUIT");
    await gate.waitForLog(/gracefully shutting down/);
    gate.signal("SIGTERM");
    expect(await gate.exited).toEqual({ code: 0, signal: null });
    expect((await tunnel.closed).code).toBe(1001);
  });

  test("worker_shutdown_timeout limits how long QUIT waits", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startFront(workers, backend, "worker_shutdown_timeout 300ms;", "websocket_drain off;");
    const tunnel = await openTunnel(gate);
    const startMs = performance.now();
    gate.signal("SIGQUIT");
    expect(await gate.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(300);
    expect((await tunnel.closed).code).toBe(1001);
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s to the whole group of processes, as from a terminal, is no accident",
    async (signal) => {
      const gate = await startFront(workers, await startWebSocketBackend());
      process.kill(-gate.pid, signal);
      process.kill(-gate.pid, signal);
      expect(await gate.exited).toEqual({ code: 0, signal: null });
      expect(gate.stderr.text).not.toMatch(/\[(alert|emerg)\]/);
    },
  );

  test("the pid file holds the main process's ID, and goes with it", async () => {
    for (const signal of ["SIGTERM", "SIGQUIT"] as const) {
      const gate = await startFront(workers, await startWebSocketBackend());
      expect(gate.read("logs/wsgate.pid")).toBe(`${gate.pid}\n`);
      await gate.stop(signal);
      expect(existsSync(join(gate.prefix, "logs/wsgate.pid"))).toBe(false);
    }
  });

  test("USR1 opens the logs anew after they have been moved away", async () => {
    const gate = await startFront(
      workers,
      await startWebSocketBackend(),
      "error_log logs/errors.log notice;",
    );
    const seen: string[] = [];
    for (const round of ["one", "two"]) {
      // Enough for every worker to have logged something.
      for (let i = 0; i < 2 * workers; i++) await request({ port: gate.port(), target: `/own?${round}` });
      const last = gate.read("logs/access.log");
      for (const log of ["access", "errors"]) {
        renameSync(join(gate.prefix, `logs/${log}.log`), join(gate.prefix, `logs/${log}.${round}`));
      }
      gate.signal("SIGUSR1");
      await gate.waitForFile(`logs/errors.${round}`, /reopening logs/);
      // The main process opens its own first; a worker has when the next request's line is in the new file.
      await untilEveryWorkerLogsAnew(gate, workers);
      seen.push(last);
      expect(gate.read(`logs/access.${round}`)).toContain(`/own?${round}`);
      expect(gate.read("logs/access.log")).not.toContain(`?${round}`);
    }
  });

  test("a log that cannot be opened anew is reported, and goes on in the old file", async () => {
    const gate = await startGate({
      config: `worker_processes ${workers}; events {} http { access_log gone/access.log; server {
        listen 127.0.0.1:{{port:front}}; return 200 ok; } }`,
      files: { "gone/placeholder": "" },
      tolerates: [/open\(\) ".*gone\/access.log" failed/],
    });
    renameSync(join(gate.prefix, "gone"), join(gate.prefix, "kept"));
    gate.signal("SIGUSR1");
    for (let i = 0; i < workers; i++) {
      await gate.waitForLog(
        /\[emerg\] .*open\(\) ".*gone\/access.log" failed \(2: No such file or directory\)/,
      );
    }
    expect((await request({ port: gate.port(), target: "/after" })).body).toBe("ok");
    await gate.waitForFile("kept/access.log", /GET \/after/);
  });

  test("a signal that means nothing changes nothing", async () => {
    const gate = await startFront(workers, await startWebSocketBackend());
    gate.signal("SIGWINCH");
    expect((await request({ port: gate.port(), target: "/own" })).body).toBe("own");
  });

  test("an exception that nothing catches is logged in one line, and the process ends with code 70", async () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "nginx.conf"),
      `worker_processes ${workers}; error_log stderr notice; events {} http { access_log off; server { listen 127.0.0.1:0; } }`,
    );
    const command = startCommand([], { cwd: folder, env: preloading("throw-on-signal.mjs") });
    await command.stderr.waitFor(/\bready$/m);
    const pids = workersOf(command);
    command.signal("SIGUSR2");
    expect(await command.exited).toEqual({ code: 70, signal: null });
    expect(command.stderr.text).toMatch(
      /^.* \[alert\] \d+#\d+: uncaught exception, please report it: Error: a bug that the rig has put in \| at .*\n$/m,
    );
    expect(existsSync(join(folder, "logs/wsgate.pid"))).toBe(false);
    await untilGone(...pids);
  });
});

async function untilEveryWorkerLogsAnew(gate: Proxy, workers: number): Promise<void> {
  // Connections go to the workers in turn.
  for (let i = 0; i < workers; i++) {
    await request({ port: gate.port(), target: `/own?probe${i}` });
    await gate.waitForFile("logs/access.log", new RegExp(`probe${i}`));
  }
}

describe("during the start", () => {
  /** A gate whose workers never get ready, and which therefore goes on starting. */
  async function startForEver(): Promise<ReturnType<typeof startCommand> & { folder: string }> {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "nginx.conf"),
      "worker_processes 2; events {} http { access_log off; server { listen 127.0.0.1:0; } }",
    );
    const command = startCommand([], { cwd: folder, env: preloading("hang-workers.mjs") });
    await command.stderr.waitFor(/a worker hangs\n(.*\n)*a worker hangs/);
    return { ...command, folder };
  }

  test.each(["SIGINT", "SIGTERM", "SIGQUIT"] as const)("%s leaves nothing behind", async (signal) => {
    const command = await startForEver();
    command.signal(signal);
    expect(await command.exited).toEqual({ code: 0, signal: null });
    expect(command.isAlive()).toBe(false);
    expect(existsSync(join(command.folder, "logs/wsgate.pid"))).toBe(false);
  });

  test("HUP, USR1 and USR2 do not kill it, nor open a debugger", async () => {
    const command = await startForEver();
    for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) command.signal(signal);
    command.signal("SIGTERM");
    expect(await command.exited).toEqual({ code: 0, signal: null });
    expect(command.stderr.text).not.toContain("Debugger");
  });
});

describe("-s", () => {
  function send(gate: Proxy, signal: string): ReturnType<typeof runGate> {
    return runGate(["-s", signal, "-p", gate.prefix, "-c", "conf/nginx.conf"]);
  }

  test("reload, reopen, quit and stop reach the running process", async () => {
    const gate = await startGate({ http: "server { listen 127.0.0.1:{{port:front}}; return 200 one; }" });
    await gate.write(
      "conf/nginx.conf",
      "events {} http { access_log logs/access.log; server { listen 127.0.0.1:{{port:front}}; return 200 two; } }",
    );
    const from = gate.stderr.text.length;
    expect(await send(gate, "reload")).toMatchObject({ code: 0, stderr: "" });
    await gate.waitForLog(/ready/, from);
    expect((await request({ port: gate.port() })).body).toBe("two");
    expect(await send(gate, "reopen")).toMatchObject({ code: 0 });
    await gate.waitForLog(/reopening logs/);
    expect(await send(gate, "quit")).toMatchObject({ code: 0 });
    expect(await gate.exited).toEqual({ code: 0, signal: null });

    const other = await startGate({ http: "server { listen 127.0.0.1:{{port:front}}; }" });
    expect(await send(other, "stop")).toMatchObject({ code: 0 });
    expect(await other.exited).toEqual({ code: 0, signal: null });
    expect(other.stderr.text).toMatch(/SIGTERM/);
  });

  test("reload of a broken file is reported by the command and in the error log, and changes nothing", async () => {
    const gate = await startGate({
      http: "server { listen 127.0.0.1:{{port:front}}; return 200 one; }",
      tolerates: [/unknown directive "retrun"/],
    });
    await gate.write("conf/nginx.conf", "events {}\nhttp { server { retrun 200; } }\n");
    const { code, stderr } = await send(gate, "reload");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^wsgate: \[emerg\] unknown directive "retrun" in .*conf\/nginx\.conf:2\n.*\n.*\^{6}\n/,
    );
    await gate.waitForLog(/\[emerg\] \d+#\d+: unknown directive "retrun" in .*conf\/nginx\.conf:2$/m);
    expect((await request({ port: gate.port() })).body).toBe("one");
  });

  test.each([
    ["none", null, /^wsgate: \[error\] open\(\) ".*wsgate\.pid" failed \(2: No such file or directory\)\n$/],
    ["that is empty", "", /^wsgate: \[error\] invalid PID number "" in ".*wsgate\.pid"\n$/],
    ["with words in it", "soon\n", /^wsgate: \[error\] invalid PID number "soon" in ".*wsgate\.pid"\n$/],
    ["with a negative number", "-1\n", /^wsgate: \[error\] invalid PID number "-1" in/],
    [
      "of a process that is gone",
      "GONE",
      /^wsgate: \[alert\] kill\(\d+, 1\) failed \(3: No such process\)\n$/,
    ],
    [
      "of another program",
      `${process.pid}`,
      /^wsgate: \[error\] process \d+ of ".*wsgate.pid" is not wsgate; the file is stale\n$/,
    ],
  ])("a pid file: %s", async (_which, content, message) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "nginx.conf"), "events {}");
    mkdirSync(join(folder, "logs"));
    const text = content === "GONE" ? execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }) : content;
    if (text !== null) writeFileSync(join(folder, "logs/wsgate.pid"), text);
    const { code, stderr } = await runGate(["-s", "reload"], { cwd: folder });
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});

test("a pid file that another process has written itself into stays", async () => {
  const gate = await startGate({ http: "server { listen 127.0.0.1:{{port:front}}; }" });
  await gate.write("logs/wsgate.pid", "1\n");
  await gate.stop();
  expect(gate.read("logs/wsgate.pid")).toBe("1\n");
});

test("runs, logs and reloads with standard input and output closed", async () => {
  const folder = temporaryFolder();
  const config = (body: string): string =>
    `error_log ${folder}/e.log notice; events {} http { access_log /dev/stdout; server { listen unix:${folder}/s; return 200 ${body}; } }`;
  writeFileSync(join(folder, "nginx.conf"), config("one"));
  const wsgate = join(REPOSITORY, "bin", "wsgate");
  const child = spawn("sh", ["-c", `exec "${process.execPath}" "${wsgate}" <&- >&- 2>&-`], { cwd: folder });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  obtain("a gate without streams", async () => {
    child.kill("SIGKILL");
    await exited;
  });
  await waitForFile(join(folder, "e.log"), /ready/);
  expect((await request({ path: join(folder, "s") })).body).toBe("one");
  writeFileSync(join(folder, "nginx.conf"), config("two"));
  child.kill("SIGHUP");
  await waitForFile(join(folder, "e.log"), /ready\n(.*\n)*.*ready/);
  expect((await request({ path: join(folder, "s") })).body).toBe("two");
  child.kill("SIGTERM");
  expect(await exited).toBe(0);
});

describe("daemon on", () => {
  /** Starts it and returns the ID of the process in the background. */
  async function startDaemon(folder: string, config: string): Promise<number> {
    writeFileSync(join(folder, "nginx.conf"), config);
    const { code, stderr } = await runGate([], { cwd: folder });
    expect([code, stderr]).toEqual([0, ""]);
    const pid = Number(readFileSync(join(folder, "logs/wsgate.pid"), "utf8"));
    obtain("a daemon", async () => {
      if (isAlive(pid)) process.kill(pid, "SIGKILL");
      await untilGone(pid);
    });
    return pid;
  }

  test.each(WORKERS)(
    "the command returns when it serves, and -s quit ends it, with %i workers",
    async (workers) => {
      const folder = temporaryFolder();
      const pid = await startDaemon(
        folder,
        `daemon on; worker_processes ${workers}; events {} http { access_log off; server { listen unix:${folder}/s; return 200 back; } }`,
      );
      expect((await request({ path: join(folder, "s") })).body).toBe("back");
      expect(await runGate(["-s", "quit"], { cwd: folder })).toMatchObject({ code: 0, stderr: "" });
      await untilGone(pid);
      expect(existsSync(join(folder, "logs/wsgate.pid"))).toBe(false);
    },
  );

  test("errors go to logs/error.log where nothing says where", async () => {
    const folder = temporaryFolder();
    const config = (body: string): string =>
      `daemon on; events {} http { access_log off; server { listen unix:${folder}/s; ${body} } }`;
    const pid = await startDaemon(folder, config("return 200;"));
    writeFileSync(join(folder, "nginx.conf"), config("nonsense;"));
    process.kill(pid, "SIGHUP");
    await waitForFile(join(folder, "logs/error.log"), /\[emerg\] .*unknown directive "nonsense" in .*:1\n/);
    expect(readFileIfAny(join(folder, "logs/error.log"))).not.toMatch(/ready/);
  });
});

test("a missing folder of the pid file, found at the end, is no accident", async () => {
  const gate = await startGate({
    config:
      "pid run/wsgate.pid; events {} http { access_log off; server { listen 127.0.0.1:{{port:front}}; } }",
    files: { "run/placeholder": "" },
  });
  rmSync(join(gate.prefix, "run"), { recursive: true });
  expect(await gate.stop()).toEqual({ code: 0, signal: null });
});
