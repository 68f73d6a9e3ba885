/** Which addresses a name has: as this machine sees them, in its hosts file, and in DNS. */
import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { isLoopback } from "./url.ts";

export interface NamesStep {
  readonly host: string;
  /** Where the addresses of the walk come from. */
  readonly source: "literal" | "override" | "system" | "name-server";
  /** In the order in which they are tried. */
  readonly addresses: readonly string[];
  /** What the resolver said instead: `ENOTFOUND`, `EAI_AGAIN`, `ETIMEOUT`, … */
  readonly error: string | null;
  /** What the hosts file of this machine says about the name. */
  readonly hostsFile: readonly string[];
  /** What DNS says without the hosts file; null where it was not asked or did not answer. */
  readonly dns: readonly string[] | null;
  readonly ms: number;
}

export interface NameOptions {
  readonly timeoutMs: number;
  /** Instead of asking. */
  readonly override: string | null;
  /** Asked instead of this machine's resolver: `10.0.0.2` or `10.0.0.2:53`. */
  readonly nameServer: string | null;
}

type Answer = Pick<NamesStep, "addresses" | "error">;

const HOSTS_FILE = "/etc/hosts";
/** DNS is asked for comparison alone, so nobody waits long for it. */
const COMPARISON_MS_MAX = 1_000;

export async function resolveNames(host: string, options: NameOptions): Promise<NamesStep> {
  const startedMs = performance.now();
  const step = (source: NamesStep["source"], answer: Answer, rest: Partial<NamesStep> = {}): NamesStep => ({
    host,
    source,
    ...answer,
    hostsFile: [],
    dns: null,
    ...rest,
    ms: performance.now() - startedMs,
  });
  if (isIP(host) !== 0) return step("literal", { addresses: [host], error: null });
  if (options.override !== null) return step("override", { addresses: [options.override], error: null });
  if (options.nameServer !== null) {
    const answer = await askDns(host, options.timeoutMs, options.nameServer);
    return step("name-server", answer, { dns: answer.error === null ? answer.addresses : null });
  }
  const [system, hostsFile, dns] = await Promise.all([
    askSystem(host, options.timeoutMs),
    readHostsFile(host),
    isLoopback(host) || !host.includes(".")
      ? null
      : askDns(host, Math.min(options.timeoutMs, COMPARISON_MS_MAX), null),
  ]);
  return step("system", system, { hostsFile, dns: dns?.error === null ? dns.addresses : null });
}

async function askSystem(host: string, timeoutMs: number): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<Answer>((resolve) => {
    timer = setTimeout(() => resolve({ addresses: [], error: "ETIMEOUT" }), timeoutMs);
  });
  const asked = lookup(host, { all: true, verbatim: true }).then(
    (found): Answer => ({ addresses: [...new Set(found.map(({ address }) => address))], error: null }),
    (error: unknown): Answer => ({ addresses: [], error: codeOf(error) }),
  );
  try {
    return await Promise.race([asked, expired]);
  } finally {
    clearTimeout(timer);
  }
}

async function askDns(host: string, timeoutMs: number, nameServer: string | null): Promise<Answer> {
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
  if (nameServer !== null) resolver.setServers([nameServer]);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const addresses = [v6, v4].flatMap((result) => (result.status === "fulfilled" ? result.value : []));
  if (addresses.length > 0) return { addresses, error: null };
  return { addresses, error: v4.status === "rejected" ? codeOf(v4.reason) : "ENODATA" };
}

async function readHostsFile(host: string): Promise<readonly string[]> {
  const text = await readFile(HOSTS_FILE, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return names.some((name) => name.toLowerCase() === host) ? [address] : [];
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "EUNKNOWN";
}
