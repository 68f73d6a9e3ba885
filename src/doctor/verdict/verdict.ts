/** From evidence to a verdict: every illness is asked, and what it recognises is sorted by certainty. */
import { isAccepted } from "../probe/handshake.ts";
import type { Walk } from "../probe/walk.ts";
import { type Words, words } from "../words.ts";
import { explainedBy } from "./configuration.ts";
import { handshakeOpens } from "./facts.ts";
import type { Case, Cause, Illness, Verdict } from "./illness.ts";
import { CERTIFICATE_ILLNESSES } from "./illnesses/certificates.ts";
import { NETWORK_ILLNESSES } from "./illnesses/network.ts";
import { PROXY_HEADER_ILLNESSES } from "./illnesses/proxy-header.ts";
import { REFUSAL_ILLNESSES } from "./illnesses/refusals.ts";
import { STATUS_ILLNESSES } from "./illnesses/statuses.ts";
import { SWITCHING_ILLNESSES } from "./illnesses/switching.ts";
import { TLS_ILLNESSES } from "./illnesses/tls.ts";
import { TUNNEL_ILLNESSES } from "./illnesses/tunnel.ts";
import { UNANSWERED_ILLNESSES } from "./illnesses/unanswered.ts";
import { URL_ILLNESSES } from "./illnesses/url.ts";

/** From the outside in; where two are equally certain the outer one comes first. */
export const ILLNESSES: readonly Illness[] = [
  ...URL_ILLNESSES,
  ...NETWORK_ILLNESSES,
  ...TLS_ILLNESSES,
  ...CERTIFICATE_ILLNESSES,
  ...UNANSWERED_ILLNESSES,
  ...PROXY_HEADER_ILLNESSES,
  ...SWITCHING_ILLNESSES,
  ...REFUSAL_ILLNESSES,
  ...STATUS_ILLNESSES,
  ...TUNNEL_ILLNESSES,
];

/** Below this nothing is said as long as something better is known. */
const CERTAINTY_MIN = 0.4;

export function judge(subject: Case): Verdict {
  const recognised = ILLNESSES.flatMap((illness): readonly Cause[] => {
    const finding = illness.recognise(subject);
    if (finding === null) return [];
    const { certainty, support } = finding;
    const values = { ...valuesOf(subject.front), ...finding.values };
    return [explainedBy({ illness, certainty, support, values }, subject.remarks)];
  }).sort((one, other) => other.certainty - one.certainty);
  const named = recognised.filter(({ illness }) => illness.isFallback !== true);
  const causes = named.some(({ illness }) => illness.severity === "sick") ? named : recognised;
  const best = causes.find(({ illness }) => illness.severity === "sick");
  const sick = causes.filter(
    (cause) => cause.illness.severity === "sick" && (cause.certainty >= CERTAINTY_MIN || cause === best),
  );
  return {
    state: sick.length > 0 ? "sick" : isComplete(subject.front) ? "healthy" : "unknown",
    causes: sick,
    notes: causes.filter(({ illness }) => illness.severity === "note"),
    comparison: compare(subject),
  };
}

/** Fills `{name}` in; what has no value stays as it is, as in a shell's or a server's own braces. */
export function fillIn(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name: string) => values[name] ?? placeholder);
}

/** Whether the walk has come to its end: a WebSocket opened and a ping came back. */
function isComplete({ handshake, conversation }: Walk): boolean {
  return handshake !== null && isAccepted(handshake) && conversation !== null && conversation.pingMs !== null;
}

function valuesOf({ url, page, tls }: Walk): Readonly<Record<string, string>> {
  const { target } = url;
  if (target === null)
    return { url: url.given, host: "HOST", path: "/PATH", authority: "HOST", scheme: "wss", http: "https" };
  const [own] = tls?.chain ?? [];
  const certificateName = own?.names.find((name) => name.startsWith("DNS:"))?.slice("DNS:".length);
  return {
    url: url.given,
    scheme: target.scheme,
    http: target.scheme === "wss" ? "https" : "http",
    host: target.host,
    port: String(target.port),
    authority: target.authority,
    path: target.path.replace(/\?.*/, ""),
    page: page?.url ?? "",
    certificateName: certificateName ?? "NAME",
  };
}

function compare({ front, backend }: Case): Words | null {
  if (backend === null) return null;
  const [isFrontWell, isBackendWell] = [handshakeOpens(front), handshakeOpens(backend)];
  if (isFrontWell && isBackendWell)
    return words(
      "Both the proxy and the backend open the WebSocket.",
      "经过代理和直连后端都能打开 WebSocket。",
    );
  if (isBackendWell)
    return words(
      "The backend opens the WebSocket, the proxy does not: the fault lies in front of the application.",
      "后端能打开 WebSocket，经过代理不能：问题在应用之前。",
    );
  if (isFrontWell)
    return words(
      "The proxy opens the WebSocket; the backend's address does not take it directly.",
      "经过代理能打开 WebSocket；直连后端地址不能。",
    );
  return words(
    "Neither opens the WebSocket: begin with the application.",
    "两者都不能打开 WebSocket：先从应用查起。",
  );
}
