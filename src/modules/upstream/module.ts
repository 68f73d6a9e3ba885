import type { Check } from "../../compile/check.ts";
import type { Module } from "../../compile/module.ts";
import { block, many, one, settingsAt, withoutEffect } from "../../compile/rows.ts";
import type { BlockHead, Scope } from "../../compile/scope.ts";
import { custom, integer, MANY, timeMs, words } from "../../compile/values.ts";
import type { Word } from "../../config/tree.ts";
import type { UpstreamReader } from "../../proxy/upstream-reader.ts";
import { UPSTREAMS } from "../../proxy/upstreams-key.ts";
import type { BalancingMethod } from "../../upstream/balancer.ts";
import { DEFAULT_KEEPALIVE } from "../../upstream/connection-pool.ts";
import { consistentHash } from "../../upstream/consistent-hash.ts";
import { hash } from "../../upstream/hash.ts";
import { ipHash } from "../../upstream/ip-hash.ts";
import { leastConn } from "../../upstream/least-conn.ts";
import { PeerGroup } from "../../upstream/peer-group.ts";
import { random } from "../../upstream/random.ts";
import { roundRobin } from "../../upstream/round-robin.ts";
import { parseServer, type UpstreamServer } from "./server.ts";
import { upstreamVariables } from "./variables.ts";

/** The port of a server line that names none, whatever protocol is spoken with it. */
const DEFAULT_PORT = 80;

const rows = {
  upstream: block({
    in: ["http"],
    type: custom<BlockHead>("name", [1, 1], ([name]) =>
      name === undefined ? undefined : { kind: "upstream", name: name.text },
    ),
    opens: () => "upstream",
    repeats: true,
    doc: "A group of servers that proxy_pass can name.",
  }),
  server: many({
    in: ["upstream"],
    type: custom("address [parameters]", [1, MANY], parseServer),
    inherit: "none",
    doc: "A server of the group: an address or a name (all addresses of which are used), with weight=, max_conns=, max_fails=, fail_timeout=, backup, down.",
  }),
  keepalive: one({
    in: ["upstream"],
    type: custom("connections [local]", [1, 2], parseKeepalive),
    default: DEFAULT_KEEPALIVE.keepalive,
    defaultText: "32 local",
    inherit: "none",
    doc: "Idle connections to the group's servers that are kept for further requests; 0 keeps none. They are only ever shared between locations that make connections in the same way.",
  }),
  keepalive_requests: one({
    in: ["upstream"],
    type: integer(1, MANY),
    default: DEFAULT_KEEPALIVE.keepalive_requests,
    inherit: "none",
    doc: "Requests after which a kept connection is closed.",
  }),
  keepalive_time: one({
    in: ["upstream"],
    type: timeMs(),
    default: DEFAULT_KEEPALIVE.keepalive_time,
    defaultText: "1h",
    inherit: "none",
    doc: "Age from which a connection is no longer kept.",
  }),
  keepalive_timeout: one({
    in: ["upstream"],
    type: timeMs(),
    default: DEFAULT_KEEPALIVE.keepalive_timeout,
    defaultText: "60s",
    inherit: "none",
    doc: "How long an idle connection is kept.",
  }),
  hash: one({
    in: ["upstream"],
    type: custom("key [consistent]", [1, 2], parseHash),
    default: null,
    inherit: "none",
    doc: "Requests with equal keys go to the same server, the same as with nginx; consistent: few keys move when a server comes or goes.",
  }),
  ip_hash: one({
    in: ["upstream"],
    type: custom("", [0, 0], () => ipHash),
    default: null,
    inherit: "none",
    doc: "Clients of one network (IPv4 /24) or address (IPv6) go to the same server.",
  }),
  least_conn: one({
    in: ["upstream"],
    type: custom("", [0, 0], () => leastConn),
    default: null,
    inherit: "none",
    doc: "The server with the fewest requests in flight for its weight.",
  }),
  random: one({
    in: ["upstream"],
    type: custom("[two [method]]", [0, 2], parseRandom),
    default: null,
    inherit: "none",
    doc: "A server by chance; two: the less busy of two that chance picked.",
  }),
  zone: withoutEffect({
    in: ["upstream"],
    type: words("name [size]", 1, 2),
    doc: "Nothing has to be reserved for the state of a group.",
  }),
} as const;

const METHOD_NAMES = ["hash", "ip_hash", "least_conn", "random"] as const;

/** Groups of servers, and the variables about them. */
export const upstreamModule: Module = {
  name: "ngx_http_upstream_module",
  directives: rows,
  variables: upstreamVariables,
  upstream: defineGroup,
};

function defineGroup(scope: Scope, check: Check): void {
  if (scope.head.kind !== "upstream") return;
  const { name } = scope.head;
  const span = scope.directive?.args[0]?.span ?? null;
  const upstreams = check.share(UPSTREAMS);
  if (upstreams.explicit(name) !== undefined) {
    check.error(span, `duplicate upstream "${name}"`, { code: "duplicate-upstream" });
    return;
  }
  const settings = settingsAt(rows, scope);
  const servers = settings.server;
  if (servers.length === 0) {
    check.error(span, "no servers are inside upstream", { code: "empty-upstream" });
    return;
  }
  if (servers.every((server) => server.settings.backup)) {
    check.error(span, `no servers in upstream "${name}"`, { code: "empty-upstream" });
    return;
  }
  const group = new PeerGroup<UpstreamReader>(name, true, methodOf(scope, check), settings);
  upstreams.define(
    group,
    servers.map((server) => resolvable(server, check)),
    DEFAULT_PORT,
    check,
  );
}

function resolvable(server: UpstreamServer, check: Check) {
  return {
    ...server,
    onNotFound: (host: string): void =>
      check.error(server.span, `host not found in upstream "${host}"`, { code: "host-not-found" }),
  };
}

/** The group's method; where several stand, the last one, as in nginx. */
function methodOf(scope: Scope, check: Check): BalancingMethod {
  const settings = settingsAt(rows, scope);
  const positionOf = (row: unknown): number => scope.inOrder.findIndex((entry) => entry.row === row);
  const chosen = METHOD_NAMES.flatMap((name) => {
    const method = settings[name];
    return method === null
      ? []
      : [{ method, position: positionOf(rows[name]), span: scope.ownSpan(rows[name]) }];
  }).sort((a, b) => a.position - b.position);
  for (const { span } of chosen.slice(1)) {
    check.warn(span, "load balancing method redefined", { code: "method-redefined" });
  }
  const last = chosen.at(-1);
  if (last === undefined) return roundRobin;
  if (!last.method.allowsBackups) checkBackups(scope, settings.server, last.position, check);
  return last.method;
}

/** nginx refuses a backup that stands after a method which has none. */
function checkBackups(
  scope: Scope,
  servers: readonly UpstreamServer[],
  methodPosition: number,
  check: Check,
): void {
  const serversBefore = scope.inOrder
    .slice(0, methodPosition)
    .filter((entry) => entry.row === rows.server).length;
  for (const { backupSpan } of servers.slice(serversBefore)) {
    if (backupSpan === null) continue;
    check.error(backupSpan, 'balancing method does not support parameter "backup"', { code: "no-backups" });
  }
}

function parseKeepalive(args: readonly Word[], check: Check): number | undefined {
  const [connections, local] = args;
  if (connections === undefined) return undefined;
  if (!/^\d{1,9}$/.test(connections.text)) {
    check.error(connections.span, `invalid value "${connections.text}" in "keepalive" directive`, {
      code: "invalid-value",
    });
    return undefined;
  }
  if (local !== undefined && local.text !== "local") {
    check.error(local.span, `invalid parameter "${local.text}"`, { code: "invalid-parameter" });
    return undefined;
  }
  return Number(connections.text);
}

function parseHash(args: readonly Word[], check: Check): BalancingMethod | undefined {
  const [key, consistent] = args;
  if (key === undefined) return undefined;
  if (consistent !== undefined && consistent.text !== "consistent") {
    check.error(consistent.span, `invalid parameter "${consistent.text}"`, { code: "invalid-parameter" });
    return undefined;
  }
  const template = check.template(key);
  return consistent === undefined ? hash(template) : consistentHash(template);
}

function parseRandom(args: readonly Word[], check: Check): BalancingMethod | undefined {
  const [two, method] = args;
  const wrong =
    two !== undefined && two.text !== "two" ? two : method?.text === "least_conn" ? undefined : method;
  if (wrong === undefined) return random(two !== undefined);
  check.error(wrong.span, `invalid parameter "${wrong.text}"`, {
    code: "invalid-parameter",
    notes: [{ message: "random takes: random [two [least_conn]];" }],
  });
  return undefined;
}
