import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { startWebSocketBackend } from "./rig/backends.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { nextTurn, within } from "./rig/deadline.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { isAlive, preloading, untilGone, workersOf } from "./rig/processes.ts";
import {
  type Proxy,
  REPOSITORY,
  runGate,
  startCommand,
  startGate,
  temporaryFolder,
} from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

/** What becomes of worker processes, and of what they serve. */

useRig();

const OWN = "location = /pid { return 200 $pid; }";

function startWorkers(
  workers: number,
  server: string,
  options: Partial<Parameters<typeof startGate>[0]> = {},
): Promise<Proxy> {
  return startGate({
    config: `worker_processes ${workers}; events {}
      http { access_log logs/access.log; server { listen 127.0.0.1:{{port:front}}; ${OWN} ${server} } }`,
    ...options,
  });
}

/** Which worker answers a new connection. */
async function pidOfNext(gate: Proxy): Promise<number> {
  return Number((await request({ port: gate.port(), target: "/pid" })).body);
}

/** Tunnels by the worker that holds each. */
async function openTunnels(gate: Proxy, count: number): Promise<Map<number, WebSocketClient>> {
  const byWorker = new Map<number, WebSocketClient>();
  for (let i = 0; i < count; i++) {
    const tunnel = await connectWebSocket("ws", gate.url("ws"));
    tunnel.send("who?");
    byWorker.set(Number(await tunnel.next()), tunnel);
  }
  return byWorker;
}

/** A backend that answers each message with the header in which the gate says which worker it is. */
function startWhoBackend(): ReturnType<typeof startWebSocketBackend> {
  return startWebSocketBackend({
    onSocket: (socket, handshake) => {
      socket.on("message", () => socket.send(handshake.headers["x-worker"] ?? ""));
    },
  });
}

test("connections are handed to the workers in turn", async () => {
  const gate = await startWorkers(3, "");
  const answered = new Map<number, number>();
  for (let i = 0; i < 12; i++) {
    const pid = await pidOfNext(gate);
    answered.set(pid, (answered.get(pid) ?? 0) + 1);
  }
  expect(new Set(answered.keys())).toEqual(new Set(workersOf(gate)));
  expect([...answered.values()]).toEqual([4, 4, 4]);
});

test("a worker that is killed is replaced, with a line that says why, and the others' tunnels go on", async () => {
  const backend = await startWhoBackend();
  const gate = await startWorkers(
    2,
    `location / { proxy_pass http://${backend.address}; proxy_set_header X-Worker $pid; }`,
    { tolerates: [/exited on signal SIGKILL/] },
  );
  const tunnels = await openTunnels(gate, 2);
  const [victim = 0, survivor = 0] = workersOf(gate);
  process.kill(victim, "SIGKILL");
  await gate.waitForLog(
    new RegExp(`\\[alert\\] .*worker process ${victim} exited on signal SIGKILL; another one takes`),
  );
  expect((await tunnels.get(victim)?.closed)?.code).toBe(1006);
  await expectWorkers(gate, 2);
  tunnels.get(survivor)?.send("still?");
  expect(await tunnels.get(survivor)?.next()).toBe(String(survivor));
  const answering = new Set([await pidOfNext(gate), await pidOfNext(gate)]);
  expect(answering).toEqual(new Set(workersOf(gate)));
});

test("a worker that is told to end by whoever operates it is replaced without alarm", async () => {
  const gate = await startWorkers(2, "");
  const [victim = 0] = workersOf(gate);
  process.kill(victim, "SIGTERM");
  await gate.waitForLog(/\[notice\] .*exited with code 0; another one takes its place/);
  await expectWorkers(gate, 2);
});

test("a bug in a worker costs that worker, says where it was, and no more", async () => {
  const gate = await startWorkers(2, "", {
    env: preloading("throw-on-signal.mjs"),
    tolerates: [/a bug that the rig has put in|exited with code 70/],
  });
  const [victim = 0, survivor = 0] = workersOf(gate);
  process.kill(victim, "SIGUSR2");
  await gate.waitForLog(
    new RegExp(`\\[alert\\] ${victim}#${victim}: uncaught exception, .*rig has put in \\| at `),
  );
  await gate.waitForLog(
    new RegExp(`worker process ${victim} exited with code 70; another one takes its place`),
  );
  await expectWorkers(gate, 2);
  expect(isAlive(survivor)).toBe(true);
});

test("workers that need longer than five seconds to tell their tunnels get the time, and none of them lacks its line", async () => {
  const backend = await startWhoBackend();
  // With their time running five times as fast.
  const gate = await startWorkers(2, `location / { proxy_pass http://${backend.address}; }`, {
    env: { ...preloading("fast-clock.mjs", "slow-farewell.mjs"), RIG_CLOCK_FACTOR: "5" },
  });
  for (let i = 0; i < 80; i++) await connectWebSocket("ws", gate.url("ws"));
  // Two Close frames of 20 ms for each of 40 tunnels: 8 of the gate's seconds.
  await gate.stop("SIGTERM");
  expect(gate.read("logs/access.log").match(/"GET \/ HTTP\/1.1" 101/g)).toHaveLength(80);
});

test("workers that end as soon as they start are started ever more seldom, until one stays", async () => {
  const flag = join(temporaryFolder(), "die");
  const gate = await startWorkers(2, "", {
    env: { ...preloading("die-on-request.mjs"), RIG_DIE_WHILE: flag },
    tolerates: [/exited/],
  });
  const [victim = 0, survivor = 0] = workersOf(gate);
  writeFileSync(flag, "");
  process.kill(victim, "SIGKILL");
  const startedMs = performance.now();
  const failure = /\[emerg\] .*worker process \d+ exited with code 3\n/;
  await gate.waitForLog(failure);
  await gate.waitForLog(new RegExp(`${failure.source}[^]*${failure.source}`));
  expect(performance.now() - startedMs).toBeGreaterThan(1000);
  expect(await pidOfNext(gate)).toBe(survivor);
  rmSync(flag);
  await expectWorkers(gate, 2);
  expect(performance.now() - startedMs).toBeGreaterThan(3000);
});

test("workers end when the main process is killed, and the next start finds nothing in its way", async () => {
  const folder = temporaryFolder();
  writeFileSync(
    join(folder, "nginx.conf"),
    `worker_processes 2; error_log stderr notice; events {} http { access_log off; server { listen unix:${folder}/s; return 200 $pid; } }`,
  );
  const first = startCommand([], { cwd: folder });
  await first.stderr.waitFor(/ready/);
  const workers = workersOf(first);
  expect(workers).toHaveLength(2);
  process.kill(first.pid, "SIGKILL");
  await untilGone(...workers);
  expect(existsSync(join(folder, "logs/wsgate.pid"))).toBe(true);
  const second = startCommand([], { cwd: folder });
  await second.stderr.waitFor(/ready/);
  expect(workersOf(second)).toContain(Number((await request({ path: join(folder, "s") })).body));
  second.signal("SIGTERM");
  expect(await second.exited).toEqual({ code: 0, signal: null });
  expect(existsSync(join(folder, "s"))).toBe(false);
});

test("with master_process off one process does everything", async () => {
  const gate = await startWorkers(2, "", { globals: "master_process off;" });
  expect(await pidOfNext(gate)).toBe(gate.pid);
});

test("processes say in the list of processes what they are", async () => {
  if (!existsSync("/proc/self/cmdline")) return;
  const gate = await startWorkers(2, "");
  const title = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", "");
  expect(title(gate.pid)).toBe(`wsgate: master process ${join(gate.prefix, "conf/nginx.conf")}`);
  expect(workersOf(gate).map(title)).toEqual(["wsgate: worker process", "wsgate: worker process"]);
});

test.each([1, 2])("working_directory is where %i workers are, and has to exist", async (workers) => {
  const folder = temporaryFolder();
  const gate = await startWorkers(workers, "", { globals: `working_directory ${folder};` });
  expect(readlinkSync(`/proc/${await pidOfNext(gate)}/cwd`)).toBe(folder);
  const config = `working_directory nowhere; worker_processes ${workers}; events {}`;
  writeFileSync(join(folder, "nginx.conf"), config);
  expect(await runGate([], { cwd: folder })).toMatchObject({
    code: 1,
    stderr: `wsgate: [emerg] chdir("${folder}/nowhere") failed (2: No such file or directory)\n`,
  });
});

const NOBODY = 65534;

describe("user", () => {
  function requiresRoot(context: TestContext): void {
    if (process.getuid?.() !== 0) context.skip("only root can give up root");
  }

  /** Open to that user, who otherwise could not even enter the rig's folder. */
  function openUp(folder: string): void {
    chmodSync(folder, 0o755);
    chmodSync(join(folder, "logs"), 0o755);
  }

  test("workers run as that user and its groups, the main process does not, one worker included", async (context) => {
    requiresRoot(context);
    const gate = await startWorkers(1, "", { globals: "user nobody nogroup;" });
    const [worker = 0] = workersOf(gate);
    const status = readFileSync(`/proc/${worker}/status`, "utf8");
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^Groups:\t65534 $/m);
    expect(await pidOfNext(gate)).toBe(worker);
    expect(readFileSync(`/proc/${gate.pid}/status`, "utf8")).toMatch(/^Uid:\t0\t/m);
  });

  test("they can still log after USR1 and after a reload that names another log", async (context) => {
    requiresRoot(context);
    const gate = await startWorkers(2, "", { globals: "user nobody nogroup;" });
    openUp(gate.prefix);
    renameSync(join(gate.prefix, "logs/access.log"), join(gate.prefix, "logs/moved.log"));
    gate.signal("SIGUSR1");
    await untilOwnedByNobody(join(gate.prefix, "logs/access.log"));
    for (let i = 0; i < 2; i++) await request({ port: gate.port(), target: `/reopened${i}` });
    await gate.waitForFile("logs/access.log", /reopened0/);
    await gate.waitForFile("logs/access.log", /reopened1/);
    await gate.write(
      "conf/nginx.conf",
      `worker_processes 2; events {} http { access_log logs/other.log; server { listen 127.0.0.1:{{port:front}}; } }`,
    );
    expect(await gate.reload()).toBe(true);
    for (let i = 0; i < 2; i++) await request({ port: gate.port(), target: `/reloaded${i}` });
    await gate.waitForFile("logs/other.log", /reloaded[01][^]*reloaded[01]/);
  });

  test("what a log is a symbolic link to stays root's", async (context) => {
    requiresRoot(context);
    const secret = join(temporaryFolder(), "secret");
    writeFileSync(secret, "", { mode: 0o600 });
    const gate = await startWorkers(1, "", {
      globals: "user nobody nogroup;",
      tolerates: [/access\.log" failed \(13: Permission denied\)/],
    });
    rmSync(join(gate.prefix, "logs/access.log"));
    symlinkSync(secret, join(gate.prefix, "logs/access.log"));
    gate.signal("SIGUSR1");
    await gate.waitForLog(/reopening logs/);
    await gate.reload();
    expect(statSync(secret).uid).toBe(0);
  });

  test("a reload reads a key that only root may read, and opens a port that only root may open", async (context) => {
    requiresRoot(context);
    const { certificate, key } = await leafFiles();
    chmodSync(key, 0o600);
    chownSync(key, 0, 0);
    const config = (name: string): string => `worker_processes 2; events {} http { access_log off; server {
      listen 127.0.0.1:{{port:front}} ssl; server_name ${name}; return 200 ${name};
      ssl_certificate ${certificate}; ssl_certificate_key ${key}; } ${name === "two" ? "server { listen 127.0.0.1:997; }" : ""} }`;
    const gate = await startGate({ config: config("one"), globals: "user nobody nogroup;" });
    await gate.write("conf/nginx.conf", config("two"));
    expect(await gate.reload()).toBe(true);
    const tls = { ca: await authorityCertificate(), servername: "localhost" };
    for (let i = 0; i < 2; i++) expect((await request({ port: gate.port(), tls })).body).toBe("two");
    await connectRaw({ port: 997 });
  });

  test("where root may not become another user the start is refused in one line", async (context) => {
    requiresRoot(context);
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "nginx.conf"),
      `user nobody nogroup; events {} http { access_log off; server { listen unix:${folder}/s; } }`,
    );
    const wsgate = [process.execPath, join(REPOSITORY, "bin", "wsgate")];
    const without = ["--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"];
    const { status, stderr } = spawnSync("setpriv", [...without, ...wsgate], {
      cwd: folder,
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([
      1,
      `wsgate: [emerg] initgroups(nobody, ${NOBODY}) failed (1: Operation not permitted)\n`,
    ]);
  });
});

/** Until so many workers have started and are still there. */
async function expectWorkers(gate: Proxy, count: number): Promise<void> {
  for (let i = 0; workersOf(gate).length < count; i++) {
    await gate.waitForLog(new RegExp(`(start worker process \\d+[^]*){${count + 1 + i}}`));
  }
  // It has started when it answers.
  const seen = new Set<number>();
  for (let i = 0; seen.size < count && i < 200; i++) seen.add(await pidOfNext(gate));
  expect(seen.size).toBe(count);
}

async function untilOwnedByNobody(path: string): Promise<void> {
  const owned = async (): Promise<void> => {
    while (statSync(path, { throwIfNoEntry: false })?.uid !== NOBODY) await nextTurn();
  };
  await within(owned(), `${path} to be nobody's`);
}
