/** The opening handshake, written by hand, and its variants that tell one illness from another. */
import { randomBytes } from "node:crypto";
import { VERSION } from "../../base/version.ts";
import { acceptFor } from "../../websocket/handshake.ts";
import { parseTokenList } from "../../http/tokens.ts";
import { type Answer, type Exchange, header } from "./exchange.ts";
import type { Target } from "./url.ts";

export interface HandshakeOptions {
  /** Null for none. */
  readonly origin: string | null;
  readonly subprotocols: readonly string[];
  /** Further headers, such as cookies. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** What of a handshake a variant changes. */
export interface Variant {
  readonly path?: string;
  /** Null leaves `Upgrade` and the Sec-WebSocket fields out: an ordinary request. */
  readonly upgrade?: string | null;
  readonly connection?: string;
  readonly httpVersion?: "1.0" | "1.1";
  readonly webSocketVersion?: string;
  readonly origin?: string | null;
  readonly key?: string;
}

/** What is wrong with a 101, by RFC 6455 section 4.1. */
export type AnswerFault =
  | "upgrade-missing"
  | "upgrade-wrong"
  | "connection-wrong"
  | "accept-missing"
  | "accept-wrong"
  | "subprotocol-missing"
  | "subprotocol-unasked"
  | "extension-unasked";

const USER_AGENT = `Mozilla/5.0 (compatible; wsgate-doctor/${VERSION})`;
/** What browsers offer. */
const EXTENSIONS = "permessage-deflate; client_max_window_bits";

function newKey(): string {
  return randomBytes(16).toString("base64");
}

/** The bytes of a handshake's request. */
export function requestText(target: Target, options: HandshakeOptions, variant: Variant = {}): string {
  const upgrade = variant.upgrade === undefined ? "websocket" : variant.upgrade;
  const origin = variant.origin === undefined ? options.origin : variant.origin;
  const own = new Set(options.headers.map(([name]) => name.toLowerCase()));
  const lines: [string, string][] = [
    ["Host", target.authority],
    ["Connection", variant.connection ?? (upgrade === null ? "close" : "Upgrade")],
    ["Pragma", "no-cache"],
    ["Cache-Control", "no-cache"],
    ["User-Agent", USER_AGENT],
  ];
  if (origin !== null) lines.push(["Origin", origin]);
  if (upgrade !== null) {
    lines.push(
      ["Upgrade", upgrade],
      ["Sec-WebSocket-Version", variant.webSocketVersion ?? "13"],
      ["Sec-WebSocket-Key", variant.key ?? newKey()],
      ["Sec-WebSocket-Extensions", EXTENSIONS],
    );
    if (options.subprotocols.length > 0)
      lines.push(["Sec-WebSocket-Protocol", options.subprotocols.join(", ")]);
  }
  const kept = lines.filter(([name]) => !own.has(name.toLowerCase()));
  const fields = [...kept, ...options.headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `GET ${variant.path ?? target.path} HTTP/${variant.httpVersion ?? "1.1"}\r\n${fields}\r\n`;
}

/** Whether a browser would open the WebSocket. */
export function isAccepted(exchange: Exchange): boolean {
  return statusOf(exchange) === 101 && answerFaults(exchange).length === 0;
}

/** The status of the answer; null where none came. */
export function statusOf(exchange: Exchange): number | null {
  return exchange.outcome.kind === "answer" ? exchange.outcome.answer.status : null;
}

/** What a browser would not take of a 101; empty for every other answer. */
export function answerFaults({ request, outcome }: Exchange): readonly AnswerFault[] {
  if (outcome.kind !== "answer" || outcome.answer.status !== 101) return [];
  const { answer } = outcome;
  const faults: AnswerFault[] = [];
  const upgrade = parseTokenList(header(answer, "upgrade") ?? "");
  if (upgrade.length === 0) faults.push("upgrade-missing");
  else if (upgrade.length !== 1 || upgrade[0] !== "websocket") faults.push("upgrade-wrong");
  if (!parseTokenList(header(answer, "connection") ?? "").includes("upgrade"))
    faults.push("connection-wrong");
  const accept = header(answer, "sec-websocket-accept");
  if (accept === undefined) faults.push("accept-missing");
  else if (accept !== acceptFor(sent(request, "sec-websocket-key") ?? "")) faults.push("accept-wrong");
  const asked = (sent(request, "sec-websocket-protocol") ?? "").split(", ").filter((name) => name !== "");
  const chosen = header(answer, "sec-websocket-protocol");
  if (chosen === undefined && asked.length > 0) faults.push("subprotocol-missing");
  if (chosen !== undefined && !asked.includes(chosen)) faults.push("subprotocol-unasked");
  if (extensionsOf(answer).some((name) => name !== "permessage-deflate")) faults.push("extension-unasked");
  return faults;
}

/** The names of the extensions that were agreed on. */
export function extensionsOf(answer: Answer): readonly string[] {
  return parseTokenList(header(answer, "sec-websocket-extensions") ?? "").map(
    (extension) => extension.split(";")[0]?.trim() ?? "",
  );
}

/** The value of a header of our own request. */
function sent(request: string, lower: string): string | undefined {
  for (const line of request.split("\r\n")) {
    if (line.toLowerCase().startsWith(`${lower}:`)) return line.slice(lower.length + 1).trim();
  }
  return undefined;
}
