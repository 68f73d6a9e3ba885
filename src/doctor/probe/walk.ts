/**
 * The walk from the outside in. Each step is a value with its evidence, and is null where an earlier step has left
 * nothing to walk on:
 *
 *   url → page → names → tcp → tls → handshake and its variants → http2 → conversation → silence → opaque
 */
import type { ConnectionOptions } from "node:tls";
import { alwaysVariants, type Control, type ControlName, failureVariants, sendControls } from "./controls.ts";
import { type ConversationStep, converse } from "./conversation.ts";
import { type Exchange, exchange, header } from "./exchange.ts";
import { type HandshakeOptions, isAccepted, requestText, type Variant } from "./handshake.ts";
import { type Http2Step, probeHttp2 } from "./http2.ts";
import { type NamesStep, resolveNames } from "./names.ts";
import { type OpaqueStep, probeOpaque } from "./opaque.ts";
import { type PageStep, probePage } from "./page.ts";
import { type SilenceStep, watchSilence } from "./silence.ts";
import { type TcpStep, tryAddresses } from "./tcp.ts";
import { type ClientCertificate, probeTls, type TlsStep, tlsOptions } from "./tls.ts";
import { PLAIN_ON_TLS_BODY } from "./plain-on-tls.ts";
import { readUrl, type Target, type UrlStep } from "./url.ts";
import type { Route } from "./wire.ts";

export interface WalkOptions {
  readonly url: string;
  /** Of the page that opens the WebSocket. */
  readonly page: URL | null;
  /** Null for the one that fits the page or, without one, the target. */
  readonly origin: string | null;
  readonly subprotocols: readonly string[];
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Instead of asking for the target's addresses. */
  readonly address: string | null;
  readonly nameServer: string | null;
  /** PEM of an authority to trust besides the usual ones. */
  readonly ca: string | null;
  /** To show to a server that asks for one. */
  readonly clientCertificate: ClientCertificate | null;
  /** For each connection and each answer. */
  readonly timeoutMs: number;
  /** 0 for quick mode. */
  readonly holdMs: number;
  readonly sendsMessages: boolean;
  /** Null for the usual, which is tried only where messages come back. */
  readonly maxMessageBytes: number | null;
  readonly layer4: boolean;
}

/** Everything that was found out. */
export interface Walk {
  readonly url: UrlStep;
  readonly page: PageStep | null;
  readonly names: NamesStep | null;
  readonly tcp: TcpStep | null;
  readonly tls: TlsStep | null;
  readonly handshake: Exchange | null;
  readonly controls: readonly Control[];
  readonly http2: Http2Step | null;
  readonly conversation: ConversationStep | null;
  readonly silence: SilenceStep | null;
  readonly opaque: OpaqueStep | null;
  readonly ms: number;
}

/** What the doctor is doing, for who waits. */
export type Stage = "names" | "tcp" | "tls" | "handshake" | "controls" | "conversation" | "silence";

/** Who waits for the walk. */
export interface Company {
  /** Told what the doctor is doing. */
  readonly onStage: (stage: Stage) => void;
  /** Has had enough of watching idle tunnels: what has been seen until then is to do. */
  readonly hurry: AbortSignal;
}

/** Nobody who would have to be told anything. */
export const ALONE: Company = { onStage: () => {}, hurry: new AbortController().signal };

const MAX_MESSAGE_BYTES_USUAL = 262_144;

export async function walk(options: WalkOptions, company: Company): Promise<Walk> {
  const startedMs = performance.now();
  const found = await walkAll(options, company);
  return { ...NOTHING, ...found, ms: performance.now() - startedMs };
}

type Found = Partial<Walk> & Pick<Walk, "url">;

const NOTHING: Omit<Walk, "url" | "ms"> = {
  page: null,
  names: null,
  tcp: null,
  tls: null,
  handshake: null,
  controls: [],
  http2: null,
  conversation: null,
  silence: null,
  opaque: null,
};

async function walkAll(options: WalkOptions, company: Company): Promise<Found> {
  const { timeoutMs } = options;
  const { onStage } = company;
  const url = readUrl(options.url);
  const { target } = url;
  if (target === null) return { url };
  const tlsOfTarget = tlsOptions(target.host, options);
  const pageStep =
    options.page === null ? Promise.resolve(null) : probePage(options.page, target, tlsOfTarget, timeoutMs);

  onStage("names");
  const names = await resolveNames(target.host, {
    timeoutMs,
    override: options.address,
    nameServer: options.nameServer,
  });
  onStage("tcp");
  const tcp = await tryAddresses(names.addresses, target.port, timeoutMs);
  const page = await pageStep;
  const open = tcp.attempts.find(({ outcome }) => outcome === "open");
  if (open === undefined) return { url, page, names, tcp: tcp.attempts.length > 0 ? tcp : null };

  const route: Route = {
    address: open.address,
    port: target.port,
    tls: target.scheme === "wss" ? tlsOfTarget : null,
  };
  if (route.tls === null)
    return { url, page, names, tcp, ...(await walkHttp(options, target, route, company)) };
  onStage("tls");
  const tls = await probeTls(route, target.host, timeoutMs);
  if (tls.outcome !== "established") {
    const [otherScheme, proxyHeader] = await Promise.all([
      tryOtherScheme(options, target, route),
      tls.outcome === "not-tls" || tls.outcome === "alert" ? [] : tryProxyHeader(options, target, route),
    ]);
    return { url, page, names, tcp, tls, controls: [...otherScheme, ...proxyHeader] };
  }
  const http = await walkHttp(options, target, route, company);
  const outcome = http.handshake?.outcome;
  // TLS 1.3 may refuse a client once it seems done; a session of HTTP/2 does not notice, and would wait in vain.
  const isRefused = outcome?.kind === "ended" && outcome.detail !== "";
  const http2 =
    tls.alpn === "h2" && !isRefused
      ? await probeHttp2(route, target, handshakeOptions(options, target), timeoutMs)
      : null;
  return { url, page, names, tcp, tls, http2, ...http };
}

async function walkHttp(
  options: WalkOptions,
  target: Target,
  route: Route,
  { onStage, hurry }: Company,
): Promise<Partial<Walk>> {
  const { timeoutMs } = options;
  const handshaking = handshakeOptions(options, target);
  const newRequest = (): string => requestText(target, handshaking);
  onStage("handshake");
  // Alone, as a browser's: a limit on handshakes must not meet the doctor's others first.
  const handshake = await exchange(route, newRequest(), timeoutMs);
  const always = sendControls(route, target, handshaking, alwaysVariants(handshaking), timeoutMs);
  if (!isAccepted(handshake)) {
    onStage("controls");
    const [first, others, otherScheme, proxyHeader, opaque] = await Promise.all([
      always,
      sendControls(route, target, handshaking, failureVariants(target), timeoutMs),
      route.tls === null && mayWantTls(handshake) ? tryOtherScheme(options, target, route) : [],
      isUnanswered(handshake) ? tryProxyHeader(options, target, route) : [],
      options.layer4 ? probeOpaque(route, newRequest(), timeoutMs) : null,
    ]);
    return { handshake, controls: [...first, ...others, ...otherScheme, ...proxyHeader], opaque };
  }
  onStage("conversation");
  const [first, unnamed, conversation, opaque] = await Promise.all([
    always,
    // Apache and others leave Server out of a 101: an ordinary answer tells whose mends to show.
    namesItself(handshake) ? [] : sendControls(route, target, handshaking, PLAIN, timeoutMs),
    converse(route, newRequest, {
      timeoutMs,
      sendsMessages: options.sendsMessages,
      maxMessageBytes: options.maxMessageBytes ?? MAX_MESSAGE_BYTES_USUAL,
      triesSizesAnyway: options.maxMessageBytes !== null,
    }),
    options.layer4 ? probeOpaque(route, newRequest(), timeoutMs) : null,
  ]);
  const controls = [...first, ...unnamed];
  if (options.holdMs === 0) return { handshake, controls, conversation, opaque };
  onStage("silence");
  const silence = await watchSilence(route, newRequest, { holdMs: options.holdMs, timeoutMs, hurry });
  return { handshake, controls, conversation, opaque, silence };
}

const PLAIN: ReadonlyMap<ControlName, Variant> = new Map([["plain", { upgrade: null }]]);

function namesItself({ outcome }: Exchange): boolean {
  return outcome.kind === "answer" && header(outcome.answer, "server") !== undefined;
}

function isUnanswered({ outcome }: Exchange): boolean {
  return outcome.kind === "ended" || outcome.kind === "timeout";
}

/** No answer, or one that says that TLS was expected, here or by somebody further behind. */
function mayWantTls({ outcome }: Exchange): boolean {
  return outcome.kind !== "answer" || PLAIN_ON_TLS_BODY.test(outcome.body);
}

function handshakeOptions(options: WalkOptions, target: Target): HandshakeOptions {
  return {
    origin: options.origin ?? options.page?.origin ?? target.origin,
    subprotocols: options.subprotocols,
    headers: options.headers,
  };
}

/** The handshake with TLS where the URL has none, and without it where it has. */
function tryOtherScheme(options: WalkOptions, target: Target, route: Route): Promise<readonly Control[]> {
  const tls: ConnectionOptions | null = route.tls === null ? tlsOptions(target.host, options) : null;
  const variants = new Map<ControlName, object>([["other-scheme", {}]]);
  return sendControls(
    { ...route, tls },
    target,
    handshakeOptions(options, target),
    variants,
    options.timeoutMs,
  );
}

/** From nobody in particular: who takes PROXY headers goes on with the connection's own addresses then (version 1, section 2.1). */
const PROXY_HEADER = "PROXY UNKNOWN\r\n";

/** The handshake behind a PROXY header, as a balancer in front would send it. */
function tryProxyHeader(options: WalkOptions, target: Target, route: Route): Promise<readonly Control[]> {
  return sendControls(
    { ...route, preface: PROXY_HEADER },
    target,
    handshakeOptions(options, target),
    new Map<ControlName, Variant>([["proxy-header", {}]]),
    options.timeoutMs,
  );
}
