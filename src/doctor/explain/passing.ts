import { asciiLowerCase, textFromByteString } from "../../base/bytes.ts";
import { formatDurationMs } from "../../base/units.ts";
import type { Request } from "../../compile/request.ts";
import type { DirectiveRow } from "../../compile/rows.ts";
import type { Scope } from "../../compile/scope.ts";
import type { Span } from "../../config/position.ts";
import { modules } from "../../modules/index.ts";
import { findPass, type PlacedPass } from "../../modules/proxy/build.ts";
import type { Destination, DestinationResult, ProxyRules } from "../../proxy/rules.ts";
import { decideUpgrade, sentUpgrade } from "../../proxy/upgrade.ts";
import type { RunEnd } from "./dry-run.ts";

/** A header of the request that reaches the backend, and who says so. */
export interface SentHeader {
  readonly name: string;
  readonly value: string;
  readonly origin: string;
  readonly span: Span | null;
}

/** One server that the request may go to. */
export interface PeerInOrder {
  readonly name: string;
  /** As the configuration calls it. */
  readonly server: string;
  readonly note: string;
}

/** A setting in force. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  /** Null: nothing is said, and this is the default. */
  readonly span: Span | null;
}

/** What reaches the backend, or why nothing does. */
export type Passing =
  | {
      readonly kind: "passed";
      /** `http://backend/x`: scheme, the name of the group or host, and the target. */
      readonly url: string;
      readonly passSpan: Span | null;
      /** How the path that reaches the backend comes about. */
      readonly targetWhy: string;
      readonly isUpgrade: boolean;
      readonly requestLine: string;
      readonly headers: readonly SentHeader[];
      readonly peers: readonly PeerInOrder[];
      readonly settings: readonly Setting[];
    }
  | { readonly kind: "refused"; readonly status: number; readonly reason: string };

/** What a person looks for first when a socket does not live: which time is in force, and which line says so. */
const SETTINGS = [
  "proxy_connect_timeout",
  "proxy_send_timeout",
  "proxy_read_timeout",
  "send_timeout",
  "websocket_upgrade",
  "websocket_ping_interval",
  "websocket_idle_timeout",
  "websocket_max_duration",
  "proxy_http_version",
  "proxy_next_upstream",
] as const;

export async function explainPassing({
  request,
  rules,
  scope,
}: Extract<RunEnd, { kind: "proxy" }>): Promise<Passing> {
  const decision = decideUpgrade(request, rules);
  if (decision?.kind === "refuse") {
    const { outcome } = decision;
    const status = "status" in outcome ? outcome.status : 0;
    const reason = outcome.kind === "answer" ? (outcome.body ?? "") : "websocket_upgrade is off here";
    return { kind: "refused", status, reason: textFromByteString(reason).trim() };
  }
  const found = await findDestination(request, rules);
  if (!found.ok) return { kind: "refused", status: found.status, reason: textFromByteString(found.message) };
  const { destination } = found;
  request.proxied = destination;
  const target = found.target ?? rules.target(request);
  const placed = findPass(scope);
  const method = rules.proxy_method?.render(request) ?? request.method;
  const sent = sentUpgrade(request, rules, decision?.offer ?? null);
  const head = textFromByteString(rules.head.render(request, method, target, "none", sent));
  const [requestLine = "", ...lines] = head.trimEnd().split("\r\n");
  return {
    kind: "passed",
    url: `${destination.scheme}://${destination.group.name}${textFromByteString(target)}`,
    passSpan: spanOf(placed?.level ?? null, "proxy_pass"),
    targetWhy: placed === null ? "" : whyTarget(request, placed),
    isUpgrade: sent.upgrade !== "",
    requestLine,
    headers: lines.map((line) => originOf(line, request, scope)),
    peers: peersInOrder(request, rules, destination),
    settings: SETTINGS.flatMap((name) => settingAt(name, scope)),
  };
}

function findDestination(request: Request, rules: ProxyRules): Promise<DestinationResult> {
  const { proxy_pass } = rules;
  if (proxy_pass.kind === "constant")
    return Promise.resolve({ ok: true, destination: proxy_pass.destination, target: null });
  return new Promise((resolve) => {
    proxy_pass.find(request, resolve);
  });
}

function whyTarget(request: Request, { pass, level }: PlacedPass): string {
  if (pass.kind === "variables") return "as the variables in proxy_pass make it";
  const { uri } = pass.url;
  if (uri === "") {
    return request.pathIsOriginal
      ? "as the client sent it, since proxy_pass has no URI part"
      : "the changed path, since proxy_pass has no URI part";
  }
  if (!request.pathMatchesLocation) return "the path that rewrite … break has made, whole";
  const path =
    level.head.kind === "location"
      ? level.head.path
      : level.parent?.head.kind === "location"
        ? level.parent.head.path
        : "";
  return `"${uri}" of proxy_pass takes the place of "${textFromByteString(path)}"`;
}

function originOf(line: string, request: Request, scope: Scope): SentHeader {
  const colon = line.indexOf(":");
  const name = line.slice(0, colon);
  const value = line.slice(colon + 2);
  const lower = asciiLowerCase(name);
  const level = rowOf("proxy_set_header", scope)?.scope ?? null;
  const set = level?.inOrder.find(
    ({ row, value: setting }) => row === rowNamed("proxy_set_header") && nameOf(setting) === lower,
  );
  if (set !== undefined) return { name, value, origin: "proxy_set_header", span: set.span };
  if (lower === "upgrade" || lower === "connection")
    return { name, value, origin: "websocket_upgrade auto (nginx needs a line)", span: null };
  if (lower === "host") return { name, value, origin: "default: $proxy_host", span: null };
  return { name, value, origin: request.head.headers.has(lower) ? "the client's" : "wsgate's", span: null };
}

function nameOf(setting: unknown): string | null {
  const isNamed = typeof setting === "object" && setting !== null && "name" in setting;
  return isNamed && typeof setting.name === "string" ? asciiLowerCase(setting.name) : null;
}

/** The order in which peers would be tried if each of them failed. The plan is fresh: no peer has a past. */
function peersInOrder(request: Request, rules: ProxyRules, { group }: Destination): readonly PeerInOrder[] {
  const tries = group.startTries(request, rules.proxy_next_upstream_tries);
  const order: PeerInOrder[] = [];
  const nowMs = performance.now();
  for (let peer = group.choose(tries, nowMs); peer !== null; peer = group.choose(tries, nowMs)) {
    group.settle(peer, tries, "success", nowMs);
    const { server, backup, weight } = peer.settings;
    const notes = [backup ? "backup" : "", weight === 1 ? "" : `weight ${weight}`].filter(
      (note) => note !== "",
    );
    order.push({ name: peer.name, server, note: notes.join(", ") });
    if (tries.left <= 0) break;
  }
  const listed = new Set(order.map(({ name }) => name));
  for (const { name, settings } of group.peers) {
    if (listed.has(name)) continue;
    order.push({
      name,
      server: settings.server,
      note: settings.down ? "down: never tried" : "not tried in this request",
    });
  }
  return order;
}

function settingAt(name: string, scope: Scope): readonly Setting[] {
  const row = rowNamed(name);
  if (row === null) return [];
  const value = scope.resolve(row);
  const isDefault = scope.deciding(row) === null;
  return [
    {
      name,
      value: isDefault && row.defaultText !== null ? row.defaultText : formatSetting(row, value),
      span: spanOf(scope, name),
    },
  ];
}

function formatSetting(row: DirectiveRow, value: unknown): string {
  if (value === null) return "off";
  if (typeof value === "number") return row.syntax.includes("time") ? formatDurationMs(value) : String(value);
  if (Array.isArray(value)) return value.join(" ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function spanOf(scope: Scope | null, name: string): Span | null {
  const found = scope === null ? null : rowOf(name, scope);
  return found === null ? null : found.scope.ownSpan(found.row);
}

/** The row of a directive, and the level that decides it; null where none does. */
function rowOf(name: string, scope: Scope): { readonly row: DirectiveRow; readonly scope: Scope } | null {
  const row = rowNamed(name);
  const deciding = row === null ? null : scope.deciding(row);
  return row === null || deciding === null ? null : { row, scope: deciding };
}

function rowNamed(name: string): DirectiveRow | null {
  for (const { directives } of modules) {
    const row = directives[name];
    if (row?.in.includes("location")) return row;
  }
  return null;
}
