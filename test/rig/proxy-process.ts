/** Runs a proxy, wsgate or the real nginx, on a configuration in a prefix folder of its own. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "./deadline.ts";
import { obtain } from "./ledger.ts";
import { GrowingText, readFileIfAny, tail, waitForFile } from "./log.ts";
import { reservePort } from "./ports.ts";

export const REPOSITORY: string = fileURLToPath(new URL("../../", import.meta.url));
const WSGATE = join(REPOSITORY, "bin", "wsgate");

export interface ProxyOptions {
  /**
   * The whole of conf/nginx.conf. `{{port:NAME}}` becomes a free port, the same one for the same name in all files;
   * `{{prefix}}` the prefix folder; `{{KEY}}` what `values` says.
   */
  readonly config?: string;
  /** Only the inside of `http { … }`; the rig writes the rest, with access_log logs/access.log. */
  readonly http?: string;
  /** Further files by path relative to the prefix, with the same placeholders. */
  readonly files?: Readonly<Record<string, string>>;
  readonly values?: Readonly<Record<string, string | number>>;
  /** Appended to the command line. */
  readonly args?: readonly string[];
  /** Directives for `-g` beside those that the rig adds. */
  readonly globals?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Lets the time of a gate run so many times as fast; nginx has no such clock. */
  readonly clockFactor?: number;
  /** The test kills it: its exit code, and what is left, say nothing. */
  readonly isKilled?: boolean;
  /** Lines of the log that would otherwise fail the test: see {@link Proxy.stop}. */
  readonly tolerates?: readonly RegExp[];
}

/** Where a proxy said that it listens. */
export interface Listener {
  /** As logged: `127.0.0.1:43121`, `[::1]:8443` or `unix:/path`. */
  readonly address: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly isTls: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Proxy {
  readonly pid: number;
  /** The prefix folder, with conf/, logs/ and html/. */
  readonly prefix: string;
  /** What the process wrote; the error log is on standard error. */
  readonly stdout: GrowingText;
  readonly stderr: GrowingText;
  /** In the order in which they came. Empty for nginx, which does not say. */
  readonly listeners: readonly Listener[];
  /** The port that stands for `{{port:NAME}}`; the name may be left out where there is one. */
  port(name?: string): number;
  /** `scheme://127.0.0.1:PORT/path`. */
  url(scheme: "http" | "https" | "ws" | "wss", path?: string, portName?: string): string;
  /** The first match in the error log (standard error), now or later, at or after index `from`. */
  waitForLog(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  /** A file below the prefix as it is now; empty where there is none. */
  read(path: string): string;
  /** Waits for a match in a file below the prefix, such as logs/access.log. */
  waitForFile(path: string, pattern: RegExp): Promise<RegExpExecArray>;
  /** Writes a file below the prefix, with placeholders; for a changed configuration before a reload. */
  write(path: string, text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Sends HUP and waits until the log says how it went: `true` for a new configuration, `false` for a refusal. */
  reload(): Promise<boolean>;
  /** Settles when the process has ended, however that came. */
  readonly exited: Promise<Exit>;
  /**
   * Sends the signal (QUIT unless told otherwise) and waits for the end. Rejects unless the exit code is 0, no process
   * of its group is left, and the log holds no line at alert or emerg level and no warning of Node's.
   */
  stop(signal?: "SIGQUIT" | "SIGTERM" | "SIGINT"): Promise<Exit>;
}

/** Starts `bin/wsgate` and resolves when it is ready to accept. */
export function startGate(options: ProxyOptions): Promise<Proxy> {
  return startProxy("wsgate", [process.execPath, WSGATE], /\bready\b/, options);
}

/** Starts the real nginx on the same kind of configuration: the oracle. */
export function startNginx(options: ProxyOptions): Promise<Proxy> {
  return startProxy("nginx", ["nginx"], /start worker process \d/, options);
}

export interface Command {
  readonly pid: number;
  readonly stdout: GrowingText;
  readonly stderr: GrowingText;
  readonly exited: Promise<Exit>;
  signal(name: NodeJS.Signals): void;
  /** Whether the command or anything that it started is still there. */
  isAlive(): boolean;
}

interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `bin/wsgate` with these arguments, for subcommands that go on until they are told to end. */
export function startCommand(args: readonly string[], options: CommandOptions = {}): Command {
  const child = spawn(process.execPath, [WSGATE, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    detached: true,
  });
  const { stdout, stderr, exited } = watchProcess(child);
  child.stdin.end();
  obtain(
    `wsgate ${args.join(" ")}`,
    async () => {
      killGroup(child);
      await exited;
    },
    () => tail(`${stdout.text}${stderr.text}`, 60),
  );
  return {
    pid: child.pid ?? 0,
    stdout,
    stderr,
    exited,
    signal: (name) => child.kill(name),
    isAlive: () => groupIsAlive(child),
  };
}

/** Runs `bin/wsgate` with these arguments to its end, for `-t`, `-v` and whatever refuses to start. */
export async function runGate(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const { stdout, stderr, exited } = startCommand(args, options);
  const exit = await within(exited, `wsgate ${args.join(" ")} to end`);
  return { ...exit, stdout: stdout.text, stderr: stderr.text };
}

/** A folder of the test's own, removed after it. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "wsgate-rig-"));
  obtain(folder, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function startProxy(
  name: "wsgate" | "nginx",
  command: readonly [program: string, ...args: string[]],
  readyLine: RegExp,
  options: ProxyOptions,
): Promise<Proxy> {
  const prefix = temporaryFolder();
  for (const folder of ["conf", "logs", "html"]) mkdirSync(join(prefix, folder));
  const ports = new Map<string, number>();
  const write = async (path: string, text: string): Promise<void> => {
    const file = join(prefix, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, await fillIn(text, prefix, ports, options.values ?? {}));
  };
  const config = mainConfig(options);
  await write("conf/nginx.conf", config);
  for (const [path, text] of Object.entries(options.files ?? {})) await write(path, text);

  const [program, ...programArgs] = command;
  const child = spawn(
    program,
    [
      ...programArgs,
      "-c",
      join(prefix, "conf/nginx.conf"),
      "-p",
      `${prefix}/`,
      "-e",
      "stderr",
      "-g",
      globals(name, config, options.globals),
      ...(options.args ?? []),
    ],
    { env: { ...process.env, ...clock(options.clockFactor), ...options.env }, detached: true },
  );
  const { stdout, stderr, exited } = watchProcess(child);
  let stopping: Promise<Exit> | undefined;
  const stop = (signal: NodeJS.Signals): Promise<Exit> => {
    stopping ??= stopProcess(name, child, signal, exited, () =>
      complaints(`${stderr.text}\n${readFileIfAny(join(prefix, "logs/error.log"))}`, options.tolerates ?? []),
    );
    return stopping;
  };
  obtain(
    `${name} (${prefix})`,
    async () => {
      if (options.isKilled === true) killGroup(child);
      // Who stopped it has been told how that went.
      if (stopping === undefined && options.isKilled !== true) await stop("SIGTERM");
      else await exited;
    },
    () => tail(`${stdout.text}${stderr.text}`, 60),
  );
  try {
    await stderr.waitFor(readyLine);
  } catch (error) {
    // That it did not start is the one thing to report.
    killGroup(child);
    stopping = exited;
    throw error;
  }

  const port = (portName?: string): number => {
    const [only] = ports.values();
    const found = portName === undefined && ports.size === 1 ? only : ports.get(portName ?? "");
    if (found === undefined) throw new Error(`which port of ${[...ports.keys()].join(", ")}?`);
    return found;
  };
  return {
    pid: child.pid ?? 0,
    prefix,
    stdout,
    stderr,
    get listeners() {
      return parseListeners(stderr.text);
    },
    port,
    url: (scheme, path = "/", portName) => `${scheme}://127.0.0.1:${port(portName)}${path}`,
    waitForLog: (pattern, from) => stderr.waitFor(pattern, from),
    read: (path) => readFileIfAny(join(prefix, path)),
    waitForFile: (path, pattern) => waitForFile(join(prefix, path), pattern),
    write,
    signal(signal) {
      child.kill(signal);
    },
    async reload() {
      const from = stderr.text.length;
      child.kill("SIGHUP");
      // A gate may start workers in the middle of a reload.
      const done = name === "nginx" ? /start worker process \d|\[emerg\]/ : /\bready\b|\[emerg\]/;
      const [line] = await stderr.waitFor(done, from);
      return line !== "[emerg]";
    },
    exited,
    stop: (signal = "SIGQUIT") => stop(signal),
  };
}

function clock(factor: number | undefined): Record<string, string> {
  if (factor === undefined) return {};
  const preload = new URL("./peers/fast-clock.mjs", import.meta.url);
  return { NODE_OPTIONS: `--import ${preload.href}`, RIG_CLOCK_FACTOR: String(factor) };
}

function mainConfig({ config, http }: ProxyOptions): string {
  if (config !== undefined) return config;
  return `events {}\nhttp {\naccess_log logs/access.log;\n${http ?? ""}\n}\n`;
}

async function fillIn(
  text: string,
  prefix: string,
  ports: Map<string, number>,
  values: Readonly<Record<string, string | number>>,
): Promise<string> {
  for (const [, name = ""] of text.matchAll(/\{\{port:([\w-]+)\}\}/g)) {
    if (!ports.has(name)) ports.set(name, await reservePort());
  }
  return text.replace(/\{\{([\w:-]+)\}\}/g, (placeholder, key: string) => {
    if (key === "prefix") return prefix;
    const value = key.startsWith("port:") ? ports.get(key.slice(5)) : values[key];
    if (value === undefined) throw new Error(`nothing stands for ${placeholder}`);
    return String(value);
  });
}

/** What the rig needs on top of any configuration; a directive that the configuration has itself is left to it. */
function globals(name: "wsgate" | "nginx", config: string, more: string = ""): string {
  const has = (directive: string): boolean =>
    new RegExp(`^\\s*${directive}\\s`, "m").test(`${config}\n${more}`);
  const added = ["error_log stderr notice;"];
  if (!has("pid")) added.push(`pid logs/${name}.pid;`);
  if (name === "nginx" && !has("daemon")) added.push("daemon off;");
  // The real nginx's workers would otherwise change to a user who may not read the prefix.
  if (name === "nginx" && !has("user") && process.getuid?.() === 0) added.push("user root;");
  return [...added, more].join(" ");
}

interface WatchedProcess {
  readonly stdout: GrowingText;
  readonly stderr: GrowingText;
  readonly exited: Promise<Exit>;
}

function watchProcess(child: ChildProcessWithoutNullStreams): WatchedProcess {
  const stdout = new GrowingText();
  const stderr = new GrowingText();
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => stdout.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => stderr.push(chunk));
  // A process that refuses its input has its reasons on standard error.
  child.stdin.on("error", () => {});
  const exited = new Promise<Exit>((resolve) => {
    const finish = (exit: Exit): void => {
      stdout.complete();
      stderr.complete();
      resolve(exit);
    };
    child.once("error", (error) => {
      stderr.push(`${error.message}\n`);
      finish({ code: null, signal: null });
    });
    child.once("close", (code, signal) => finish({ code, signal }));
  });
  return { stdout, stderr, exited };
}

async function stopProcess(
  name: string,
  child: ChildProcessWithoutNullStreams,
  signal: NodeJS.Signals,
  exited: Promise<Exit>,
  complaintsOfLog: () => readonly string[],
): Promise<Exit> {
  child.kill(signal);
  try {
    const exit = await within(exited, `${name} to end after ${signal}`);
    const faults = [...complaintsOfLog()];
    if (exit.code !== 0) faults.push(`${name} ended with code ${exit.code}, signal ${exit.signal}`);
    if (groupIsAlive(child)) faults.push(`${name} left a process behind`);
    if (faults.length > 0) throw new Error(faults.join("\n"));
    return exit;
  } finally {
    killGroup(child);
  }
}

/** Lines that no proxy may write while it is well. */
const COMPLAINTS =
  /\[(alert|emerg)\]|unhandled ?rejection|uncaught ?exception|AssertionError|\(node:\d+\)|Warning:|^\s+at .+:\d+:\d+\)?$/i;

function complaints(log: string, tolerates: readonly RegExp[]): readonly string[] {
  return log
    .split("\n")
    .filter((line) => COMPLAINTS.test(line) && !tolerates.some((pattern) => pattern.test(line)));
}

/** `listening on ADDRESS[ ssl]` for each listener that is new, `no longer listening on ADDRESS` for one that is gone. */
function parseListeners(log: string): readonly Listener[] {
  const listeners = new Map<string, Listener>();
  for (const [, gone, address = "", ssl] of log.matchAll(/(no longer )?listening on (\S+)( ssl)?/g)) {
    const port = address.startsWith("unix:") ? 0 : Number(address.slice(address.lastIndexOf(":") + 1));
    if (gone === undefined) listeners.set(address, { address, port, isTls: ssl !== undefined });
    else listeners.delete(address);
  }
  return [...listeners.values()];
}

/** The process was started as the leader of a group of its own, so the group is whatever it started. */
function groupIsAlive(child: ChildProcessWithoutNullStreams): boolean {
  return signalGroup(child, 0);
}

function killGroup(child: ChildProcessWithoutNullStreams): void {
  signalGroup(child, "SIGKILL");
}

function signalGroup(child: ChildProcessWithoutNullStreams, signal: NodeJS.Signals | 0): boolean {
  if (child.pid === undefined) return false;
  try {
    return process.kill(-child.pid, signal);
  } catch {
    return false;
  }
}
