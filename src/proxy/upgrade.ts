import type { ByteString } from "../base/bytes.ts";
import type { SharedKey } from "../compile/check.ts";
import type { Outcome } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import type { Scope } from "../compile/scope.ts";
import type { RequestHead, ResponseHead } from "../http/head-parser.ts";
import { parseTokenList } from "../http/tokens.ts";
import { tunnelCounts } from "../observe/tunnel-counts.ts";
import { quoted } from "../observe/quoted.ts";
import type { CompressionSettings } from "../websocket/compression.ts";
import {
  type BrokenRule,
  brokenClientRule,
  brokenUpstreamRule,
  type ClientHandshake,
  clientHandshake,
  type HandshakeStrictness,
} from "../websocket/handshake.ts";
import { type AllowedOrigins, originFault, type OriginFault } from "../websocket/origins.ts";
import type { DrainRules } from "../websocket/register.ts";
import type { WatchSettings } from "../websocket/tunnel-watch.ts";
import { type Failure, upstreamFailure } from "./failure.ts";
import { NO_UPGRADE, type RequestHeadPlan, type SentUpgrade } from "./request-head.ts";
import type { TunnelLogSettings } from "./tunnel-log.ts";

/** The directives about the opening of tunnels. */
export interface OpeningSettings {
  readonly websocket_upgrade: "auto" | "manual" | "off";
  readonly websocket_handshake: HandshakeStrictness;
  /** Names in lower case, or every protocol but h2c. */
  readonly proxy_upgrade_protocols: "any" | ReadonlySet<ByteString>;
  readonly websocket_allowed_origins: AllowedOrigins;
  readonly websocket_compression: CompressionSettings;
}

/** The directives about upgrades, and about the tunnels that come of them. */
export interface UpgradeSettings extends OpeningSettings, WatchSettings, DrainRules, TunnelLogSettings {}

/** The same for every level of a configuration: the websocket module reads them, the proxy module goes by them. */
export const UPGRADE_SETTINGS: SharedKey<WeakMap<Scope, UpgradeSettings>> = {
  description: "settings about upgrades",
  make: () => new WeakMap(),
};

/** What a location says about upgrades, proxy_set_header included. */
export interface UpgradeRules extends UpgradeSettings {
  readonly head: RequestHeadPlan;
}

/** A client's wish for another protocol, which the upstream may grant. */
export interface UpgradeOffer {
  /** Upgrade as the client wrote it. */
  readonly value: ByteString;
  /** The protocols in it, in lower case; empty for a WebSocket. */
  readonly protocols: readonly ByteString[];
  /** Set for a WebSocket. */
  readonly handshake: ClientHandshake | null;
}

/** What becomes of a client's wish for an upgrade: null, no wish or none that is heeded. */
export type UpgradeDecision =
  | { readonly kind: "offer"; readonly offer: UpgradeOffer }
  | { readonly kind: "refuse"; readonly outcome: Outcome }
  | null;

const NONE: readonly ByteString[] = [];

/** HTTP/2 without TLS: a tunnel would let a client speak to the upstream past every rule of this proxy. */
const NEVER_TUNNELLED = "h2c";

/**
 * Decides whether a request's Upgrade is passed on. Without a heeded wish the request is an ordinary one: a server may
 * always ignore Upgrade (RFC 9110 section 7.8).
 */
export function decideUpgrade(request: Request, rules: UpgradeRules): UpgradeDecision {
  const { head } = request;
  const value = head.headers.get("upgrade");
  if (value === undefined) return null;
  const protocols = head.headers.getAll("upgrade").flatMap(parseTokenList);
  if (protocols.includes("websocket")) return decideWebSocket(request, rules, value, protocols);
  const isHeeded =
    head.upgrade.length > 0 && !hasBody(head) && passesOn(rules) && mayBeSent(protocols, rules);
  return isHeeded ? { kind: "offer", offer: { value, protocols, handshake: null } } : null;
}

function decideWebSocket(
  request: Request,
  rules: UpgradeRules,
  value: ByteString,
  protocols: readonly ByteString[],
): UpgradeDecision {
  if (rules.websocket_upgrade === "off") {
    tunnelCounts.refuse("proxy", "websocket-upgrade-off");
    return { kind: "refuse", outcome: { kind: "status", status: 426 } };
  }
  if (!passesOn(rules) || !mayBeSent(protocols, rules)) return null;
  const broken = brokenClientRule(request.head, rules.websocket_handshake);
  if (broken !== null) {
    const message = describeBroken("client sent", "opening handshake", broken);
    request.log("error", message);
    tunnelCounts.refuse("client", broken.name);
    return { kind: "refuse", outcome: refusal(request.head, broken, message) };
  }
  const fault = originFault(request.head, request.connection.scheme, rules.websocket_allowed_origins);
  if (fault !== null) return { kind: "refuse", outcome: refuseOrigin(request, fault) };
  const handshake = clientHandshake(request.head, rules.websocket_compression.kind !== "pass");
  // Only what is no WebSocket is known by its protocols alone.
  return { kind: "offer", offer: { value, protocols: NONE, handshake } };
}

/** The body goes to somebody else's page, so it tells nothing but the rule. */
function refuseOrigin(request: Request, { rule, message, origin }: OriginFault): Outcome {
  const text = `WebSocket refused: ${message} (rule "${rule}")`;
  request.log("error", `${text}: ${quoted(origin)}`);
  tunnelCounts.refuse("client", rule);
  return { kind: "answer", status: 403, body: `${text}\n`, contentType: "text/plain", headers: [] };
}

/** An unknown version is answered as RFC 6455 section 4.4 asks; everything else is a bad request. */
function refusal({ headers }: RequestHead, broken: BrokenRule, message: string): Outcome {
  const isOtherVersion = broken.name === "version" && headers.has("sec-websocket-version");
  return {
    kind: "answer",
    status: isOtherVersion ? 426 : 400,
    body: `${message}\n`,
    contentType: "text/plain",
    headers: isOtherVersion ? [["Sec-WebSocket-Version", "13"]] : [],
  };
}

/** The values of Upgrade and Connection that go upstream; empty ones are not sent. */
export function sentUpgrade(request: Request, rules: UpgradeRules, offer: UpgradeOffer | null): SentUpgrade {
  const withholdsDeflate = offer?.handshake?.isDeflateWithheld ?? false;
  if (writesUpgrade(rules)) {
    return offer === null
      ? NO_UPGRADE
      : { upgrade: offer.value, connection: "upgrade", needsHttp11: true, withholdsDeflate };
  }
  const connection = rules.head.connection?.render(request) ?? "";
  const upgrade = rules.head.upgrade?.render(request) ?? "";
  if (upgrade === "") return { upgrade, connection, needsHttp11: false, withholdsDeflate };
  const isDenied = offer === null && request.head.headers.has("upgrade");
  if (!isDenied && mayBeSent(parseTokenList(upgrade), rules))
    return { upgrade, connection, needsHttp11: false, withholdsDeflate };
  return { upgrade: "", connection: withoutUpgrade(connection), needsHttp11: false, withholdsDeflate };
}

/** Why an upstream's 101 is not the answer to what the client asked for; null if it is, and the tunnel may begin. */
export function switchFailure(
  head: ResponseHead,
  offer: UpgradeOffer | null,
  rules: UpgradeRules,
): Failure | null {
  if (offer === null)
    return upstreamFailure("invalid_header", "upstream sent 101 although nobody asked for an upgrade");
  if (offer.handshake === null) {
    if (isPipe(rules) || head.upgrade.some((protocol) => offer.protocols.includes(protocol))) return null;
    return upstreamFailure("invalid_header", "upstream sent 101 with an Upgrade that nobody asked for");
  }
  const broken = brokenUpstreamRule(head, offer.handshake, rules.websocket_handshake);
  if (broken === null) return null;
  tunnelCounts.refuse("upstream", broken.name);
  const message = describeBroken("upstream sent", "answer to the opening handshake", broken);
  return { ...upstreamFailure("invalid_header", message), body: `${message}\n` };
}

/** Whether the headers of an upgrade are wsgate's to write: `auto`, and the location sets neither of them. */
export function writesUpgrade({ websocket_upgrade, head }: UpgradeRules): boolean {
  // `proxy_set_header Connection ""` asks for kept connections and says nothing about upgrades.
  return (
    websocket_upgrade === "auto" &&
    head.upgrade === null &&
    (head.connection === null || head.connection.constant === "")
  );
}

/** Whether a client's opening handshake may become a tunnel under these rules. */
export function passesWebSockets(rules: UpgradeRules): boolean {
  return rules.websocket_upgrade !== "off" && passesOn(rules) && mayBeSent(["websocket"], rules);
}

/** Whether Upgrade reaches the upstream at all. */
function passesOn(rules: UpgradeRules): boolean {
  const { upgrade } = rules.head;
  return writesUpgrade(rules) || (upgrade !== null && upgrade.constant !== "");
}

/** nginx's own behaviour, asked for twice over: whatever the protocol and whatever a 101 says. */
function isPipe(rules: UpgradeRules): boolean {
  return rules.websocket_upgrade === "manual" && rules.proxy_upgrade_protocols === "any";
}

function mayBeSent(
  protocols: readonly ByteString[],
  { proxy_upgrade_protocols: allowed }: UpgradeRules,
): boolean {
  return protocols.every(
    (protocol) => !protocol.startsWith(NEVER_TUNNELLED) && (allowed === "any" || allowed.has(protocol)),
  );
}

function hasBody({ framing }: RequestHead): boolean {
  return framing.kind !== "none" && !(framing.kind === "length" && framing.length === 0);
}

function withoutUpgrade(connection: ByteString): ByteString {
  return parseTokenList(connection)
    .filter((option) => option !== "upgrade")
    .join(", ");
}

function describeBroken(who: string, what: string, broken: BrokenRule): string {
  const { name, requirement, section, rfc = 6455 } = broken;
  return `${who} an invalid WebSocket ${what}: ${requirement} (rule "${name}", RFC ${rfc} section ${section})`;
}
