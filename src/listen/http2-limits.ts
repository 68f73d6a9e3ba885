import { constants } from "node:http2";

const { NGHTTP2_PROTOCOL_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

/** How a connection is ended whose client breaks a rule: what the error log says, and the code in GOAWAY. */
export interface Offence {
  readonly rule: string;
  /** Continues "client ". */
  readonly message: string;
  readonly code: number;
}

/** What is cheap to send and costs to answer; RFC 9113 section 10.5 has the list. */
export const FLOODS: Readonly<
  Record<"rapid-reset" | "ping-flood" | "settings-flood" | "frame-flood", Offence>
> = {
  "rapid-reset": flood("rapid-reset", "reset too many streams"),
  "ping-flood": flood("ping-flood", "sent too many PING frames"),
  "settings-flood": flood("settings-flood", "sent too many SETTINGS frames"),
  "frame-flood": flood("frame-flood", "sent frames that carry next to nothing"),
};

/** Errors of nghttp2, by number, that are a flood. The rest are breaches of the protocol. */
const ENGINE_FLOODS: ReadonlyMap<number, Offence> = new Map([
  [-904, flood("unread-answers", "took none of the answers to its PING and SETTINGS frames")],
  [-905, flood("continuation-flood", "sent too many CONTINUATION frames")],
]);

/** Node's own count of DATA frames without data, and of frames that nghttp2 refuses. */
const INVALID_FRAMES = flood("invalid-frames", "sent too many empty or invalid frames");

function flood(rule: string, message: string): Offence {
  return { rule, message, code: NGHTTP2_ENHANCE_YOUR_CALM };
}

/** What an error means with which Node gives up a session; null where it is about the connection beneath. */
export function offenceOf(error: unknown): Offence | null {
  if (!(error instanceof Error) || !("code" in error)) return null;
  if (error.code === "ERR_HTTP2_TOO_MANY_INVALID_FRAMES") return INVALID_FRAMES;
  if (error.code !== "ERR_HTTP2_ERROR" || !("errno" in error) || typeof error.errno !== "number") return null;
  const known = ENGINE_FLOODS.get(error.errno);
  if (known !== undefined) return known;
  return {
    rule: "protocol",
    message: `broke the protocol: ${error.message}`,
    code: NGHTTP2_PROTOCOL_ERROR,
  };
}

/** Allows something so often at once, and so often a second in the long run. */
export class Allowance {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at = performance.now();

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
  }

  /** Takes one; false where none is left. */
  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(this.#burst, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

/** As nginx counts: so many bytes may be there for every byte of heads and bodies, and these besides. */
const BYTES_PER_PAYLOAD_BYTE = 8;
const BYTES_FREE = 8 * 1_048_576;

/** Whether `bytes` on the wire, both ways, are out of all proportion to what they carried. */
export function isOverhead(bytes: number, payloadBytes: number): boolean {
  return bytes > payloadBytes * BYTES_PER_PAYLOAD_BYTE + BYTES_FREE;
}
