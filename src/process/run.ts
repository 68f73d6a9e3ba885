import { byteStringFromText } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import type { CompileResult } from "../compile/compile.ts";
import type { Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { headline } from "../config/format-diagnostic.ts";
import { endOnBug } from "./last-resort.ts";
import { formatDiagnostics, frozen, load, type Source } from "./load.ts";
import { flushLogs, giveLogsToUser, reopenLogs } from "./log-files.ts";
import { removePidFile, writePidFile } from "./pid-file.ts";
import type { ListeningAddress, Server, WriteLog } from "./server.ts";

/** How a run of the main process goes with whoever started it. */
export interface RunOptions {
  /** It serves, on these addresses. Called once. */
  readonly onReady?: (addresses: readonly ListeningAddress[]) => void;
  /** It does not serve; text for the terminal. By default it goes to the standard error stream. */
  readonly onRefusal?: (text: string) => void;
  /** False: no pid file is written, whatever the configuration says. */
  readonly hasPidFile?: boolean;
}

/** A configuration that has been accepted. */
export type Compiled = CompileResult & { readonly plan: Plan };

/**
 * Runs a compiled configuration until a signal ends it, and resolves with the exit code. Whatever is left then goes with
 * the process: the caller is to end it.
 */
export async function run(source: Source, compiled: Compiled, options: RunOptions = {}): Promise<number> {
  const makeServer = await serverMaker(compiled.plan);
  return new MainProcess(source, compiled, options, makeServer).run();
}

type ServerMaker = (log: WriteLog) => Server;

/** A process that leaves the work to others does without what it takes, and one that does it alone without the others. */
async function serverMaker(plan: Plan): Promise<ServerMaker> {
  if (!wantsWorkers(plan)) return (await import("./single-server.ts")).createSingleServer;
  const { WorkerServer } = await import("./worker-server.ts");
  return (log) => new WorkerServer(log);
}

/**
 * What the main process is doing, and what ends it. The signals mean what they mean to nginx:
 *
 *   starting   applying the first plan       applied → serving; refused → over; TERM, INT, QUIT → stopping
 *   serving    HUP reloads, USR2 drains the  QUIT → draining; TERM, INT → stopping
 *              tunnels alone
 *   draining   letting everything come to    the last connection's end → over; TERM, INT → stopping,
 *              its own end                   and so does worker_shutdown_timeout
 *   stopping   closing everything            done → over
 *   over
 *
 * USR1 reopens the logs in any of them. HUP while a plan is being applied is remembered, once.
 */
type Phase = "starting" | "serving" | "draining" | "stopping" | "over";

class MainProcess {
  readonly #source: Source;
  readonly #options: RunOptions;
  readonly #first: Compiled;
  readonly #server: Server;
  /** Whether this process started workers when it began: it cannot go back. */
  readonly #hasWorkers: boolean;
  readonly #log: WriteLog = (level, message) =>
    this.#plan.main.error_log.write(level, byteStringFromText(message));
  /** In force, or, while starting, about to be. */
  #plan: Plan;
  #phase: Phase = "starting";
  #pidFile: string | null = null;
  /** What the log says to be listened on. */
  #announced: readonly ListeningAddress[] = [];
  /** Tunnels are being drained, or have been, and new ones refused. */
  #isDraining = false;
  #reload: "none" | "running" | "wanted" = "none";
  /** The apply or reload that is under way. */
  #work: Promise<void> = Promise.resolve();
  #resolve: (code: number) => void = () => {};
  /** Node ends a process that waits for nothing but signals, and a configuration may well listen nowhere. */
  readonly #stay = setInterval(() => {}, 2 ** 31 - 1);

  constructor(source: Source, first: Compiled, options: RunOptions, makeServer: ServerMaker) {
    this.#source = source;
    this.#first = first;
    this.#options = options;
    this.#plan = first.plan;
    this.#hasWorkers = wantsWorkers(first.plan);
    this.#server = makeServer(this.#log);
  }

  run(): Promise<number> {
    process.title = `wsgate: master process ${this.#source.places.config}`;
    endOnBug(
      () => (this.#phase === "starting" ? null : this.#plan.main.error_log),
      () => {
        this.#removePidFile();
        flushLogs(this.#plan);
      },
    );
    process
      .on("SIGTERM", () => this.#stop("signal 15 (SIGTERM) received, exiting"))
      .on("SIGINT", () => this.#stop("signal 2 (SIGINT) received, exiting"))
      .on("SIGQUIT", () => this.#quit())
      .on("SIGHUP", () => this.#wantReload())
      .on("SIGUSR1", () => this.#reopenLogs())
      .on("SIGUSR2", () => void this.#untilApplied().then(() => this.#drainTunnels()));
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#work = this.#start();
    });
  }

  async #start(): Promise<void> {
    const faults = await this.#apply(this.#first);
    if (this.#phase !== "starting") return;
    if (faults.length > 0) {
      await this.#server.stop();
      this.#refuse(faults);
      this.#end(1);
      return;
    }
    this.#phase = "serving";
    this.#announce();
    this.#options.onReady?.(this.#server.addresses);
    this.#goOnReloading();
  }

  #stop(why: string): void {
    if (this.#isOver) return;
    this.#phase = "stopping";
    this.#log("notice", why);
    void this.#server.stop().then(() => this.#end(0));
  }

  #quit(): void {
    if (this.#phase === "starting") this.#stop("signal 3 (SIGQUIT) received, exiting");
    if (this.#phase !== "serving") return;
    this.#phase = "draining";
    this.#log("notice", "signal 3 (SIGQUIT) received, gracefully shutting down");
    const timeoutMs = this.#plan.main.worker_shutdown_timeout;
    if (timeoutMs !== null)
      setTimeout(() => this.#stop("worker_shutdown_timeout is over, exiting"), timeoutMs);
    void this.#work.then(() => this.#server.drain()).then(() => this.#end(0));
  }

  /** The end of what is being applied now, and of the reload that is remembered behind it. */
  #untilApplied(): Promise<void> {
    return this.#reload === "wanted" ? this.#work.then(() => this.#work) : this.#work;
  }

  /** After whatever was being applied when the signal came: what was asked for last is to hold. */
  async #drainTunnels(): Promise<void> {
    const received = "signal 12 (SIGUSR2) received";
    if (this.#phase !== "serving") return this.#log("notice", `${received}, ignored: shutting down`);
    if (this.#isDraining) return this.#log("notice", `${received}, ignored: tunnels are being drained`);
    this.#isDraining = true;
    this.#log("notice", `${received}, draining tunnels; new ones are refused until a reload`);
    const isEmpty = await this.#server.drainTunnels();
    if (isEmpty && this.#phase === "serving")
      this.#log("notice", "no tunnels are left; everything else is served as before");
  }

  #wantReload(): void {
    if (this.#phase === "starting") {
      this.#reload = "wanted";
    } else if (this.#reload !== "none") {
      this.#reload = "wanted";
      this.#log("notice", "signal 1 (SIGHUP) received, another reload follows this one");
    } else if (this.#phase === "serving") {
      this.#reload = "running";
      this.#log("notice", "signal 1 (SIGHUP) received, reconfiguring");
      this.#work = this.#reloadOnce();
    } else {
      this.#log("notice", "signal 1 (SIGHUP) received, ignored: shutting down");
    }
  }

  async #reloadOnce(): Promise<void> {
    const result = await load(this.#source);
    for (const diagnostic of result.diagnostics) this.#log(diagnostic.severity, headline(diagnostic));
    const isAccepted = result.plan !== null && (await this.#reconfigure({ ...result, plan: result.plan }));
    if (!isAccepted) this.#log("notice", "the configuration in force stays as it is");
    this.#goOnReloading();
  }

  /** With the reload that has been remembered, if one has. */
  #goOnReloading(): void {
    const isWanted = this.#reload === "wanted";
    this.#reload = "none";
    if (isWanted) this.#wantReload();
  }

  get #isOver(): boolean {
    return this.#phase === "stopping" || this.#phase === "over";
  }

  async #reconfigure(next: Compiled): Promise<boolean> {
    if (this.#phase !== "serving") return false;
    const warnings = whatNeedsRestart(this.#plan, next.plan, this.#hasWorkers);
    const faults = await this.#apply(next);
    // TERM ends workers in the middle of it, and that they have ended is no fault then.
    if (this.#isOver) return false;
    for (const each of faults) this.#log(each.severity, headline(each));
    if (faults.length > 0) return false;
    this.#plan = next.plan;
    if (this.#isDraining) this.#log("notice", "new tunnels are welcome again");
    this.#isDraining = false;
    for (const warning of warnings) this.#log("warn", warning);
    this.#announce();
    return true;
  }

  #apply(compiled: Compiled): Promise<readonly Diagnostic[]> {
    const { plan } = compiled;
    return this.#server.apply(plan, frozen(this.#source, compiled), () => this.#movePidFile(plan.main.pid));
  }

  #movePidFile(path: string): readonly Diagnostic[] {
    if (path === this.#pidFile || this.#options.hasPidFile === false) return [];
    const faults = writePidFile(path, process.pid);
    if (faults.length > 0) return faults;
    this.#removePidFile();
    this.#pidFile = path;
    return [];
  }

  #removePidFile(): void {
    if (this.#pidFile !== null) removePidFile(this.#pidFile, process.pid);
    this.#pidFile = null;
  }

  #reopenLogs(): void {
    if (this.#phase === "starting") return;
    this.#log("notice", "signal 10 (SIGUSR1) received, reopening logs");
    for (const each of reopenLogs(this.#plan)) this.#log("emerg", headline(each));
    giveLogsToUser(this.#plan);
    this.#server.reopenLogs();
  }

  /** Of the addresses it tells what has changed: with most reloads nothing. */
  #announce(): void {
    const { addresses } = this.#server;
    const before = this.#announced;
    this.#announced = addresses;
    for (const { text } of before) {
      if (!addresses.some((each) => each.text === text))
        this.#log("notice", `no longer listening on ${text}`);
    }
    for (const { text, ssl } of addresses) {
      if (!before.some((each) => each.text === text && each.ssl === ssl))
        this.#log("notice", `listening on ${text}${ssl ? " ssl" : ""}`);
    }
    this.#log("notice", `wsgate/${VERSION} is ready`);
  }

  #refuse(faults: readonly Diagnostic[]): void {
    const { onRefusal } = this.#options;
    if (onRefusal === undefined) process.stderr.write(formatDiagnostics(faults, process.stderr.isTTY));
    else onRefusal(formatDiagnostics(faults, false));
  }

  #end(code: number): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    clearInterval(this.#stay);
    this.#removePidFile();
    if (code === 0) this.#log("notice", "exit");
    flushLogs(this.#plan);
    this.#resolve(code);
  }
}

function wantsWorkers({ main }: Plan): boolean {
  // A main process that keeps its privileges needs somebody else to do the work without them.
  return main.master_process && (main.worker_processes > 1 || main.user !== null);
}

/** What of the next plan a reload cannot bring about. */
function whatNeedsRestart(before: Plan, after: Plan, hasWorkers: boolean): readonly string[] {
  const warnings: string[] = [];
  if (!hasWorkers && wantsWorkers(after)) {
    warnings.push(
      "going from one process to workers takes a restart; until then everything stays in this one",
    );
  }
  if (hasWorkers && before.main.user?.uid !== after.main.user?.uid) {
    warnings.push('another "user" takes a restart; until then the workers stay what they are');
  }
  return warnings;
}
