import type { Check } from "./check.ts";
import type { ListenSpec, ServerNameSpec } from "./module.ts";
import type { ListenAddress, ListenerPlan, PlanRegex, ServerPlan } from "./plan.ts";

export interface BuiltServer {
  readonly plan: ServerPlan;
  readonly listens: readonly ListenSpec[];
  readonly names: readonly ServerNameSpec[];
  /** Its certificates were at fault, and that has been reported. */
  readonly tlsFailed: boolean;
}

/** How messages and reloads name an address. */
export function addressKey(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Joins the servers that listen on one address into its listener, and arranges their names. */
export function buildListeners(servers: readonly BuiltServer[], check: Check): readonly ListenerPlan[] {
  const byAddress = new Map<string, { server: BuiltServer; listen: ListenSpec }[]>();
  let anonymous = 0;
  for (const server of servers) {
    const own = new Set<string>();
    for (const listen of server.listens) {
      // Port 0 asks for any free port: two of them are two listeners.
      const any = listen.address.kind === "inet" && listen.address.port === 0;
      const key = any ? `${addressKey(listen.address)}#${anonymous++}` : addressKey(listen.address);
      if (own.has(key)) {
        check.error(listen.span, `a duplicate listen ${key}`, { code: "duplicate-listen" });
        continue;
      }
      own.add(key);
      const group = byAddress.get(key);
      if (group === undefined) byAddress.set(key, [{ server, listen }]);
      else group.push({ server, listen });
    }
  }
  return mergeIntoWildcards([...byAddress].map(([key, group]) => buildListener(key, group, check)));
}

const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Takes addresses that a wildcard covers out of the list, and hands them to it. */
function mergeIntoWildcards(plans: readonly ListenerPlan[]): readonly ListenerPlan[] {
  const covered = new Map<ListenerPlan, ListenerPlan[]>();
  for (const plan of plans) {
    const wildcard = plans.find((other) => other !== plan && covers(other, plan));
    if (wildcard !== undefined) covered.set(wildcard, [...(covered.get(wildcard) ?? []), plan]);
  }
  const gone = new Set([...covered.values()].flat());
  return plans
    .filter((plan) => !gone.has(plan))
    .map((plan) => ({ ...plan, specific: byLocalAddress(covered.get(plan) ?? []) }));
}

function covers(wildcard: ListenerPlan, plan: ListenerPlan): boolean {
  const [outer, inner] = [wildcard.address, plan.address];
  if (outer.kind !== "inet" || inner.kind !== "inet" || outer.port !== inner.port || outer.port === 0)
    return false;
  if (!WILDCARDS.has(outer.host) || WILDCARDS.has(inner.host)) return false;
  const sameFamily = outer.host.includes(":") === inner.host.includes(":");
  return sameFamily || (outer.host === "::" && !wildcard.ipv6only);
}

function byLocalAddress(plans: readonly ListenerPlan[]): ReadonlyMap<string, ListenerPlan> {
  return new Map(plans.flatMap((plan) => (plan.address.kind === "inet" ? [[plan.address.host, plan]] : [])));
}

function buildListener(
  key: string,
  group: readonly { readonly server: BuiltServer; readonly listen: ListenSpec }[],
  check: Check,
): ListenerPlan {
  const [first] = group;
  if (first === undefined) throw new RangeError("a listener without servers");
  const defaults = group.filter(({ listen }) => listen.default_server);
  for (const { listen } of defaults.slice(1)) {
    check.error(listen.span, `a duplicate default server for ${key}`, { code: "duplicate-default-server" });
  }
  const defaultServer = (defaults[0] ?? first).server.plan;
  const some = <T>(pick: (listen: ListenSpec) => T | null): T | null =>
    group.map(({ listen }) => pick(listen)).find((value) => value !== null) ?? null;
  const ssl = group.some(({ listen }) => listen.ssl);
  if (ssl) for (const { server, listen } of group) checkCertificate(server, listen, defaultServer, check);

  return {
    key,
    address: first.listen.address,
    ssl,
    http2: group.some(({ listen }) => listen.http2),
    passesWebSockets: group.some(({ server }) => server.plan.passesWebSockets),
    proxy_protocol: group.some(({ listen }) => listen.proxy_protocol),
    backlog: some((listen) => listen.backlog) ?? 511,
    ipv6only: some((listen) => listen.ipv6only) ?? true,
    reuseport: group.some(({ listen }) => listen.reuseport),
    so_keepalive: some((listen) => listen.so_keepalive),
    span: first.listen.span,
    defaultServer,
    names: buildNames(key, group, check),
    specific: new Map(),
  };
}

function checkCertificate(
  server: BuiltServer,
  listen: ListenSpec,
  defaultServer: ServerPlan,
  check: Check,
): void {
  if (!listen.ssl || server.plan.tls !== null || server.tlsFailed) return;
  // nginx lets a server without a certificate share an address whose default server has one.
  if (server.plan !== defaultServer && defaultServer.tls !== null) return;
  check.error(listen.span, 'no "ssl_certificate" is defined for the "listen ... ssl" directive', {
    code: "no-certificate",
    suggestion: "add ssl_certificate and ssl_certificate_key to this server, or remove ssl from listen",
  });
}

function buildNames(
  key: string,
  group: readonly { readonly server: BuiltServer; readonly listen: ListenSpec }[],
  check: Check,
): ListenerPlan["names"] {
  const exact = new Map<string, ServerPlan>();
  const leadingWildcard = new Map<string, ServerPlan>();
  const trailingWildcard = new Map<string, ServerPlan>();
  const regexes: { regex: PlanRegex; server: ServerPlan }[] = [];

  for (const { server } of group) {
    const add = (names: Map<string, ServerPlan>, name: string, spec: ServerNameSpec): void => {
      const known = names.get(name);
      if (known === undefined) names.set(name, server.plan);
      else if (known !== server.plan || spec.kind === "exact") {
        check.warn(spec.span, `conflicting server name "${describeName(spec)}" on ${key}, ignored`, {
          code: "conflicting-server-name",
        });
      }
    };
    for (const spec of server.names) {
      switch (spec.kind) {
        case "exact":
          add(exact, spec.name, spec);
          break;
        case "leading-wildcard":
          if (spec.andItself) add(exact, spec.suffix.slice(1), spec);
          add(leadingWildcard, spec.suffix, spec);
          break;
        case "trailing-wildcard":
          add(trailingWildcard, spec.prefix, spec);
          break;
        case "regex":
          regexes.push({ regex: spec.regex, server: server.plan });
          break;
      }
    }
  }
  return { exact, leadingWildcard, trailingWildcard, regexes };
}

/** A server name as the configuration spells it. */
export function describeName(spec: ServerNameSpec): string {
  switch (spec.kind) {
    case "exact":
      return spec.name;
    case "leading-wildcard":
      return spec.andItself ? spec.suffix : `*${spec.suffix}`;
    case "trailing-wildcard":
      return `${spec.prefix}*`;
    case "regex":
      return `~${spec.regex.source}`;
  }
}
