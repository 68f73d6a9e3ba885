/** What goes through an open tunnel: pings, a message, large messages, compressed ones, and the goodbye. */
import type { Exchange } from "./exchange.ts";
import { openTunnel, type Tunnel, type TunnelEnd } from "./tunnel.ts";
import type { Route } from "./wire.ts";

export interface SizeTrial {
  readonly bytes: number;
  /** `echoed`: came back whole. `taken`: a ping after it was answered. `lost`: neither. `ended`: the tunnel ended. */
  readonly outcome: "echoed" | "taken" | "lost" | "ended";
  readonly end: TunnelEnd | null;
}

export interface ConversationStep {
  readonly handshake: Exchange;
  /** The tunnel ended by itself before anything was sent. */
  readonly earlyEnd: TunnelEnd | null;
  /** It ended when it was pinged. */
  readonly endAfterPing: TunnelEnd | null;
  /** Round trip of a ping; null where no pong came. */
  readonly pingMs: number | null;
  /** Frames of the other side that break RFC 6455. */
  readonly brokenRule: string | null;
  /** What became of a short text; null where none was sent. */
  readonly text: "echoed" | "answered" | "silent" | "ended" | null;
  /** Messages that came without being asked for. */
  readonly greetings: number;
  /** How the tunnel ended after the text: an application may refuse what it does not know. */
  readonly endAfterText: TunnelEnd | null;
  /** permessage-deflate was agreed on. */
  readonly compresses: boolean;
  /** A compressed message came back whole; null where it was not tried. */
  readonly compressedEcho: boolean | null;
  readonly sizes: readonly SizeTrial[];
}

export interface ConversationOptions {
  readonly timeoutMs: number;
  readonly sendsMessages: boolean;
  /** The largest message that is tried, in bytes. */
  readonly maxMessageBytes: number;
  /** The user has asked for that size: it is tried whether or not the other side echoes. */
  readonly triesSizesAnyway: boolean;
}

const TEXT = "wsgate doctor";
/** How long a tunnel is watched for an end that nobody asked for, and for an echo after the pong. */
const QUIET_MS = 250;
const GOODBYE_MS = 500;
/** No network that works needs longer for a ping. */
const PING_MS_MAX = 3_000;
/** Where implementations change their ways: length fields, buffers, common limits. */
const SIZES: readonly number[] = [125, 126, 8_192, 65_535, 65_536, 262_144, 1_048_576];

/** Opens one tunnel with `requestText()` for each part, so that an end in one does not hide the others. */
export async function converse(
  route: Route,
  requestText: () => string,
  options: ConversationOptions,
): Promise<ConversationStep | null> {
  const { exchange, tunnel } = await openTunnel(route, requestText(), options.timeoutMs);
  if (tunnel === null) return null;
  const pingTimeoutMs = Math.min(options.timeoutMs, PING_MS_MAX);
  await tunnel.until(() => false, QUIET_MS);
  const earlyEnd = tunnel.end;
  const pingMs = tunnel.isOver ? null : await ping(tunnel, "first", pingTimeoutMs);
  const endAfterPing = earlyEnd === null ? tunnel.end : null;
  const greetings = tunnel.messages.length;
  const text = options.sendsMessages && !tunnel.isOver ? await sendText(tunnel, pingTimeoutMs, false) : null;
  const endAfterText = earlyEnd === null && endAfterPing === null ? tunnel.end : null;
  const compressedEcho =
    text === "echoed" && tunnel.compresses
      ? (await sendText(tunnel, pingTimeoutMs, true)) === "echoed"
      : null;
  const step = {
    handshake: exchange,
    earlyEnd,
    endAfterPing,
    pingMs,
    brokenRule: tunnel.brokenRule,
    text,
    greetings,
    endAfterText,
    compresses: tunnel.compresses,
    compressedEcho,
  };
  await tunnel.close(GOODBYE_MS);
  const triesSizes =
    options.sendsMessages && text !== null && (text === "echoed" || options.triesSizesAnyway);
  return { ...step, sizes: triesSizes ? await trySizes(route, requestText, options) : [] };
}

/** The round trip in milliseconds; null where no pong came in time. */
async function ping(tunnel: Tunnel, payload: string, timeoutMs: number): Promise<number | null> {
  const startedMs = performance.now();
  tunnel.ping(payload);
  const isAnswered = await tunnel.until(() => tunnel.pongs.includes(payload), timeoutMs);
  return isAnswered ? performance.now() - startedMs : null;
}

async function sendText(
  tunnel: Tunnel,
  timeoutMs: number,
  compress: boolean,
): Promise<"echoed" | "answered" | "silent" | "ended"> {
  const before = tunnel.messages.length;
  const text = compress ? `${TEXT}, compressed, ${"again and ".repeat(8)}again` : TEXT;
  const isEchoed = (): boolean => tunnel.messages.slice(before).some(({ data }) => data === text);
  tunnel.sendText(text, compress);
  await ping(tunnel, compress ? "after the compressed text" : "after the text", timeoutMs);
  await tunnel.until(isEchoed, QUIET_MS);
  if (isEchoed()) return "echoed";
  if (tunnel.isOver) return "ended";
  return tunnel.messages.length > before ? "answered" : "silent";
}

async function trySizes(
  route: Route,
  requestText: () => string,
  options: ConversationOptions,
): Promise<readonly SizeTrial[]> {
  const { tunnel } = await openTunnel(route, requestText(), options.timeoutMs);
  if (tunnel === null) return [];
  const sizes = SIZES.filter((bytes) => bytes < options.maxMessageBytes);
  const trials: SizeTrial[] = [];
  for (const bytes of [...sizes, options.maxMessageBytes]) {
    const trial = await trySize(tunnel, bytes, options.timeoutMs);
    trials.push(trial);
    if (trial.outcome === "ended" || trial.outcome === "lost") break;
  }
  await tunnel.close(GOODBYE_MS);
  return trials;
}

async function trySize(tunnel: Tunnel, bytes: number, timeoutMs: number): Promise<SizeTrial> {
  const text = "w".repeat(bytes);
  const before = tunnel.messages.length;
  const isEchoed = (): boolean => tunnel.messages.slice(before).some(({ data }) => data === text);
  tunnel.sendText(text);
  const marker = `after ${bytes}`;
  tunnel.ping(marker);
  await tunnel.untilStalled(() => isEchoed() || tunnel.pongs.includes(marker), timeoutMs);
  await tunnel.until(isEchoed, QUIET_MS);
  if (isEchoed()) return { bytes, outcome: "echoed", end: null };
  if (tunnel.isOver) return { bytes, outcome: "ended", end: tunnel.end };
  return { bytes, outcome: tunnel.pongs.includes(marker) ? "taken" : "lost", end: null };
}
