import type { ByteString } from "../base/bytes.ts";
import { parseList } from "../http/tokens.ts";
import { type Extension, parseExtension, parseExtensions } from "./extensions.ts";

/**
 * permessage-deflate (RFC 7692) as it stands in Sec-WebSocket-Extensions: what a client offers, what a server answers,
 * and whether the one fits the other.
 */

const NAME = "permessage-deflate";

/** The largest window there is, in bits; the one that holds where nothing is said (section 7.1.2). */
export const WINDOW_BITS_MAX = 15;
/** The smallest one that zlib can compress with: it takes 9 where 8 is asked for, which a peer with 8 cannot read. */
export const WINDOW_BITS_MIN = 9;

/** Parameters that both sides are bound by. Windows in bits, null where nothing is said. */
export interface DeflateAgreement {
  /** The server begins each message with an empty window. */
  readonly server_no_context_takeover: boolean;
  readonly client_no_context_takeover: boolean;
  readonly server_max_window_bits: number | null;
  readonly client_max_window_bits: number | null;
}

/** Parameters as one side has written them. */
type DeflateParameters = Omit<DeflateAgreement, "client_max_window_bits"> & {
  /** `true` without a value, which says in an offer that the client heeds the parameter in an answer. */
  readonly client_max_window_bits: number | true | null;
};

/** What a server asks of a connection. */
export interface DeflateWishes {
  /** False: neither side keeps its window from one message to the next. */
  readonly takeover: boolean;
  /** The largest window for either side, in bits from 9 to 15. */
  readonly windowBits: number;
}

/** The lines of Sec-WebSocket-Extensions without permessage-deflate: the elements that are left, perhaps none. */
export function withoutDeflate(line: ByteString): ByteString {
  return parseList(line)
    .filter((element) => !isDeflate(parseExtension(element)))
    .join(", ");
}

/** The first permessage-deflate in the lines of Sec-WebSocket-Extensions, as it was written; null without one. */
export function findDeflate(lines: readonly ByteString[]): ByteString | null {
  return lines.flatMap(parseList).find((element) => isDeflate(parseExtension(element))) ?? null;
}

/**
 * The answer to the first offer that can be kept, null where there is none. An offer with a parameter that is unknown,
 * stands twice or has an invalid value is declined (section 7.1), and the next one is looked at.
 */
export function acceptOffer(lines: readonly ByteString[], wishes: DeflateWishes): DeflateAgreement | null {
  for (const offer of parseOffers(lines)) {
    const answer = answerTo(offer, wishes);
    if (answer !== null) return answer;
  }
  return null;
}

function answerTo(
  offer: DeflateParameters,
  { takeover, windowBits }: DeflateWishes,
): DeflateAgreement | null {
  const { server_max_window_bits: serverBits, client_max_window_bits: clientBits } = offer;
  if (serverBits !== null && serverBits < WINDOW_BITS_MIN) return null;
  const clientBitsMax = Math.min(
    clientBits === null || clientBits === true ? WINDOW_BITS_MAX : clientBits,
    windowBits,
  );
  return {
    server_no_context_takeover: offer.server_no_context_takeover || !takeover,
    // May be asked of a client that has not offered it (section 7.1.1.2).
    client_no_context_takeover: offer.client_no_context_takeover || !takeover,
    // A smaller window of our own is nobody's concern unless it was asked for.
    server_max_window_bits: serverBits === null ? null : Math.min(serverBits, windowBits),
    // Must not be asked of a client that has not offered it (section 7.1.2.2).
    client_max_window_bits: clientBits === null || clientBitsMax === WINDOW_BITS_MAX ? null : clientBitsMax,
  };
}

/** As an answer writes it. */
export function formatAgreement(agreement: DeflateAgreement): ByteString {
  let text = NAME;
  if (agreement.server_no_context_takeover) text += "; server_no_context_takeover";
  if (agreement.client_no_context_takeover) text += "; client_no_context_takeover";
  if (agreement.server_max_window_bits !== null)
    text += `; server_max_window_bits=${agreement.server_max_window_bits}`;
  if (agreement.client_max_window_bits !== null)
    text += `; client_max_window_bits=${agreement.client_max_window_bits}`;
  return text;
}

/** Whether a server's answer, as far as it is about permessage-deflate, is one that a client's offers allow. */
export function isLegalAnswer(
  offerLines: readonly ByteString[],
  answerLines: readonly ByteString[],
): boolean {
  const answers = (parseExtensions(answerLines) ?? []).filter(isDeflate);
  const [first] = answers;
  if (first === undefined) return true;
  const answer = parseParameters(first);
  if (answer === null || answers.length > 1) return false;
  return parseOffers(offerLines).some((offer) => fits(offer, answer));
}

/** Sections 7.1.1 and 7.1.2, from the side of the client. */
function fits(offer: DeflateParameters, answer: DeflateParameters): boolean {
  const { server_max_window_bits: serverBits, client_max_window_bits: clientBits } = answer;
  if (offer.server_no_context_takeover && !answer.server_no_context_takeover) return false;
  if (offer.server_max_window_bits !== null && (serverBits ?? Infinity) > offer.server_max_window_bits)
    return false;
  if (clientBits === null) return true;
  if (clientBits === true || offer.client_max_window_bits === null) return false;
  return offer.client_max_window_bits === true || clientBits <= offer.client_max_window_bits;
}

function parseOffers(lines: readonly ByteString[]): readonly DeflateParameters[] {
  const offers: DeflateParameters[] = [];
  for (const extension of (parseExtensions(lines) ?? []).filter(isDeflate)) {
    const parameters = parseParameters(extension);
    if (parameters !== null) offers.push(parameters);
  }
  return offers;
}

/** The parameters there are, and which values each may have (null: none). */
const PARAMETERS: ReadonlyMap<ByteString, (value: ByteString | null) => boolean> = new Map([
  ["server_no_context_takeover", (value) => value === null],
  ["client_no_context_takeover", (value) => value === null],
  ["server_max_window_bits", isWindowBits],
  ["client_max_window_bits", (value) => value === null || isWindowBits(value)],
]);

/** A whole number from 8 to 15 without leading zeros (section 7.1.2). */
function isWindowBits(value: ByteString | null): boolean {
  return value !== null && /^(?:[89]|1[0-5])$/.test(value);
}

/** Null where a parameter is unknown, stands twice, or has a value that it may not have. */
function parseParameters({ parameters }: Extension): DeflateParameters | null {
  const given = new Map(parameters);
  const areValid = parameters.every(([name, value]) => PARAMETERS.get(name)?.(value) ?? false);
  if (!areValid || given.size < parameters.length) return null;
  const serverBits = given.get("server_max_window_bits");
  const clientBits = given.get("client_max_window_bits");
  return {
    server_no_context_takeover: given.has("server_no_context_takeover"),
    client_no_context_takeover: given.has("client_no_context_takeover"),
    server_max_window_bits: serverBits === undefined ? null : Number(serverBits),
    client_max_window_bits: clientBits === undefined ? null : clientBits === null || Number(clientBits),
  };
}

function isDeflate(extension: Extension | null): boolean {
  return extension?.name === NAME;
}
