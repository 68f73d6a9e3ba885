import "./base/regexp-guard.ts";
import { EventEmitter } from "node:events";
import { join, resolve } from "node:path";
import { isError, type Diagnostic } from "./config/diagnostic.ts";
import { formatDiagnostic } from "./config/format-diagnostic.ts";
import type { Plan } from "./compile/plan.ts";
import { Gate } from "./process/gate.ts";
import { load, type Source } from "./process/load.ts";

export type { Diagnostic } from "./config/diagnostic.ts";

/** Where the configuration comes from. */
export interface GateOptions {
  /** Text of a configuration, as it would stand in an nginx.conf. Either this or `file`. */
  readonly config?: string;
  /** Path of a configuration file. */
  readonly file?: string;
  /** What relative paths of log files, roots and the like are relative to. Default: the current folder. */
  readonly prefix?: string;
  /** Where errors go if no error_log says otherwise: a path, or `stderr`. Default: `stderr`. */
  readonly errorLog?: string;
}

/** An address that a gate listens on. */
export interface GateAddress {
  /** `http://127.0.0.1:8080`, `https://[::1]:8443`, `unix:/run/x.sock`. */
  readonly url: string;
  /** `127.0.0.1`; the path of a Unix-domain socket. */
  readonly host: string;
  /** The port in fact, where the configuration says 0; 0 for a Unix-domain socket. */
  readonly port: number;
  readonly tls: boolean;
}

/** What a gate tells while it runs. */
export interface GateEvents {
  /** It accepts connections on these addresses; after `listen` and after each reload. */
  listening: [addresses: readonly GateAddress[]];
  /** A reload has brought a new configuration into force. */
  reload: [];
  /** All connections are closed. */
  close: [];
}

/** The configuration was refused, or an address or file could not be had. Nothing has changed. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  /** Every error as data, a taken port (`bind-failed`) or an unwritable log (`open-failed`) among them. */
  readonly diagnostics: readonly Diagnostic[];

  constructor(message: string, diagnostics: readonly Diagnostic[]) {
    super(message);
    this.diagnostics = diagnostics;
  }
}

/** A proxy in this process. Its worker_processes, daemon, pid and user directives have no effect. */
export class WebSocketGate extends EventEmitter<GateEvents> {
  readonly #gate = new Gate();
  #source: Source;
  /** Reloads, and the close, one after the other. */
  #queue: Promise<void> = Promise.resolve();
  #state: "new" | "listening" | "closed" = "new";

  constructor(options: GateOptions) {
    super();
    this.#source = sourceOf(options);
  }

  /** Where it listens; empty before `listen` and after `close`. */
  get addresses(): readonly GateAddress[] {
    return this.#gate.listeners.map((listener) => {
      const { address } = listener;
      const tls = listener.plan.ssl;
      if (address.kind === "unix") return { url: `unix:${address.path}`, host: address.path, port: 0, tls };
      const url = `${tls ? "https" : "http"}://${listener.addressText}`;
      return { url, host: address.host, port: address.port, tls };
    });
  }

  /** Warnings about the configuration in force. */
  get warnings(): readonly Diagnostic[] {
    return this.#gate.plan?.warnings ?? [];
  }

  /**
   * Compiles the configuration and starts to accept connections.
   * @throws {ConfigurationError} where it is refused or an address cannot be bound; nothing is left open then.
   */
  listen(): Promise<readonly GateAddress[]> {
    return this.#enqueue(async () => {
      if (this.#state !== "new") throw new Error("a gate listens once");
      await this.#apply(this.#source);
      this.#state = "listening";
      this.emit("listening", this.addresses);
      return this.addresses;
    });
  }

  /**
   * Brings a new configuration into force, or the same file as it is now. Open tunnels and requests in flight go on.
   * @throws {ConfigurationError} where it is refused; the configuration in force stays.
   */
  reload(options?: GateOptions): Promise<readonly GateAddress[]> {
    return this.#enqueue(async () => {
      if (this.#state !== "listening") throw new Error("a gate that does not listen cannot be reloaded");
      const source = options === undefined ? this.#source : sourceOf(options);
      await this.#apply(source);
      this.#source = source;
      this.emit("reload");
      this.emit("listening", this.addresses);
      return this.addresses;
    });
  }

  /**
   * Asks all tunnels to end, as websocket_drain says, and answers new ones with 503, while ordinary requests are served as
   * before; the next reload ends that. Resolves with true when no tunnel is left, with false at a reload before.
   */
  drain(): Promise<boolean> {
    if (this.#state !== "listening")
      return Promise.reject(new Error("a gate that does not listen cannot be drained"));
    return this.#gate.drainTunnels();
  }

  /**
   * Stops accepting. By default it resolves when every request has been answered and every tunnel has been closed as
   * websocket_drain says; with `force` everything is closed at once.
   */
  close(options: { readonly force?: boolean } = {}): Promise<void> {
    const isForced = options.force === true;
    // Also what an earlier close is waiting for, and what a listen or reload is about to open.
    if (isForced) void this.#gate.closeNow();
    return this.#enqueue(async () => {
      if (this.#state === "closed") return;
      await (isForced ? this.#gate.closeNow() : this.#gate.drain());
      this.#state = "closed";
      this.emit("close");
    });
  }

  async #apply(source: Source): Promise<void> {
    const { plan, diagnostics } = await load(source);
    if (plan === null) throw new ConfigurationError(describe(diagnostics), diagnostics.filter(isError));
    await this.#commit(plan);
  }

  async #commit(plan: Plan): Promise<void> {
    const result = await this.#gate.prepare(plan);
    if (!result.ok) throw new ConfigurationError(describe(result.faults), result.faults);
    this.#gate.commit(result.prepared);
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#queue.then(task);
    // A task that failed has told its caller; those behind it are not concerned.
    this.#queue = run.then(
      () => undefined,
      () => undefined,
    );
    return run;
  }
}

/** Makes a gate; it starts with `listen`. */
export function createGate(options: GateOptions): WebSocketGate {
  return new WebSocketGate(options);
}

function sourceOf(options: GateOptions): Source {
  const prefix = resolve(options.prefix ?? ".");
  const isText = options.config !== undefined;
  if (isText === (options.file !== undefined))
    throw new TypeError('createGate takes either "config" or "file"');
  const config = isText ? join(prefix, "configuration") : resolve(options.file ?? "");
  const errorLog = options.errorLog ?? "stderr";
  return {
    places: { config, prefix, errorLog, backgroundErrorLog: errorLog },
    globals: null,
    files: isText ? { [config]: options.config ?? "" } : {},
    isFrozen: false,
  };
}

function describe(diagnostics: readonly Diagnostic[]): string {
  return diagnostics
    .filter(isError)
    .map((each) => formatDiagnostic(each, { program: "wsgate", colour: false }))
    .join("\n");
}
