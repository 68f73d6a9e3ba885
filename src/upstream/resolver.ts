import { Resolver as NodeResolver } from "node:dns/promises";
import { Deadline } from "../base/timers.ts";
import { asciiLowerCase } from "../base/bytes.ts";
import type { SharedKey } from "../compile/check.ts";
import type { Scope } from "../compile/scope.ts";

/** What the `resolver` directive says. */
export interface ResolverSettings {
  /** Name servers, each `address` or `address:port`, IPv6 in brackets. */
  readonly servers: readonly string[];
  /** How long an answer is kept, in milliseconds; null: as long as it says itself. */
  readonly validMs: number | null;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

export type Resolution =
  | { readonly ok: true; readonly addresses: readonly string[] }
  /** nginx's words: `app.test could not be resolved (3: Host not found)`. */
  | { readonly ok: false; readonly message: string };

/** How long a name is known not to exist, in milliseconds: long enough to break a storm of questions. */
const NEGATIVE_MS = 1000;
/** Shorter lifetimes than this would ask for each request anew. */
const LIFETIME_MS_MIN = 1000;
/** Names that are kept; the one that was learned first makes way. */
const NAMES_MAX = 4096;

/** Failures by the names c-ares gives them, in nginx's numbers and words (ngx_resolver_strerror). */
const FAILURES: ReadonlyMap<string, string> = new Map([
  ["EFORMERR", "1: Format error"],
  ["ESERVFAIL", "2: Server failure"],
  ["ENOTFOUND", "3: Host not found"],
  ["ENODATA", "3: Host not found"],
  ["EBADNAME", "3: Host not found"],
  ["ENOTIMP", "4: Unimplemented"],
  ["EREFUSED", "5: Operation refused"],
  ["ETIMEOUT", "110: Operation timed out"],
]);

interface Known {
  readonly resolution: Resolution;
  readonly untilMs: number;
}

/**
 * Names that only requests know are looked up by the name servers of a `resolver` directive, not by the system's
 * configuration, as in nginx. Answers are kept; of several requests for one name only the first asks.
 */
export class CachingResolver {
  readonly #settings: ResolverSettings;
  readonly #timeoutMs: number;
  readonly #node: NodeResolver;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<Resolution>>();

  /** `timeoutMs` is that of resolver_timeout. */
  constructor(settings: ResolverSettings, timeoutMs: number) {
    this.#settings = settings;
    this.#timeoutMs = Math.max(1, timeoutMs);
    // c-ares asks one server after the other and doubles the wait in the second round; all of it is to take no longer.
    const waitMs = Math.max(1, Math.floor(timeoutMs / (3 * settings.servers.length)));
    this.#node = new NodeResolver({ timeout: waitMs, tries: 2 });
    this.#node.setServers(settings.servers);
  }

  /** The addresses of a name; `found` is called at once where they are known. */
  resolve(host: string, found: (resolution: Resolution) => void): void {
    const name = asciiLowerCase(host);
    const known = this.#known.get(name);
    if (known !== undefined && known.untilMs > performance.now()) return found(known.resolution);
    let asking = this.#asking.get(name);
    if (asking === undefined) {
      asking = this.#ask(name);
      this.#asking.set(name, asking);
    }
    void this.#tell(asking, found);
  }

  async #tell(asking: Promise<Resolution>, found: (resolution: Resolution) => void): Promise<void> {
    found(await asking);
  }

  async #ask(name: string): Promise<Resolution> {
    const { ipv4, ipv6, validMs } = this.#settings;
    const questions = [
      ...(ipv4 ? [this.#node.resolve4(name, { ttl: true })] : []),
      ...(ipv6 ? [this.#node.resolve6(name, { ttl: true })] : []),
    ];
    const answers = await this.#inTime(Promise.allSettled(questions));
    this.#asking.delete(name);
    if (answers === "late") return this.#keep(name, { ok: false, message: timedOut(name) }, NEGATIVE_MS);
    const records = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (records.length === 0) {
      const failure = answers.find((answer) => answer.status === "rejected");
      const resolution: Resolution = { ok: false, message: describe(name, failure?.reason) };
      return this.#keep(name, resolution, NEGATIVE_MS);
    }
    const ttlMs = Math.min(...records.map((record) => record.ttl)) * 1000;
    // Name servers turn the order with each answer; the same addresses must be the same group of peers.
    const addresses = records.map((record) => record.address).sort();
    return this.#keep(name, { ok: true, addresses }, validMs ?? Math.max(ttlMs, LIFETIME_MS_MIN));
  }

  /** c-ares waits a quarter of a second at least, for each server: the deadline is kept here. */
  async #inTime<Answers>(answers: Promise<Answers>): Promise<Answers | "late"> {
    const deadline = new Deadline();
    const late = new Promise<"late">((resolve) => deadline.arm(this.#timeoutMs, () => resolve("late")));
    const first = await Promise.race([answers, late]);
    deadline.disarm();
    return first;
  }

  #keep(name: string, resolution: Resolution, lifetimeMs: number): Resolution {
    this.#known.delete(name);
    if (this.#known.size >= NAMES_MAX) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(name, { resolution, untilMs: performance.now() + lifetimeMs });
    return resolution;
  }
}

function timedOut(name: string): string {
  return `${name} could not be resolved (${FAILURES.get("ETIMEOUT")})`;
}

function describe(name: string, error: unknown): string {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  return `${name} could not be resolved (${FAILURES.get(code) ?? "2: Server failure"})`;
}

/** The resolver in force on each level: the resolver module finds it, the proxy module goes by it. */
export const RESOLVERS: SharedKey<WeakMap<Scope, CachingResolver>> = {
  description: "resolvers",
  make: () => new WeakMap(),
};
