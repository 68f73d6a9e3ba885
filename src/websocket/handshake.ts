import { createHash } from "node:crypto";
import type { ByteString } from "../base/bytes.ts";
import type { RequestHead, ResponseHead } from "../http/head-parser.ts";
import type { HeaderList } from "../http/header-list.ts";
import { isToken, parseList, parseTokenList } from "../http/tokens.ts";
import { findDeflate, isLegalAnswer, withoutDeflate } from "./deflate-parameters.ts";
import { parseExtensions } from "./extensions.ts";

/**
 * The opening handshake of RFC 6455, section 4, as two lists of rules: what a client's request must be, and what an
 * upstream's 101 must answer to it. Each rule has a name, so that a refusal can say which one was broken.
 */

/** Which rules are held. `relaxed` holds those alone without which a tunnel would not be safe. */
export type HandshakeStrictness = "strict" | "relaxed";

interface Rule<Subject> {
  readonly name: string;
  /** What must be true, as a sentence without its full stop. */
  readonly requirement: string;
  /** Where RFC 6455 says so, or another. */
  readonly section: string;
  readonly rfc?: number;
  readonly isRelaxable: boolean;
  readonly holds: (subject: Subject) => boolean;
}

/** A rule that a handshake has broken. */
export type BrokenRule = Pick<Rule<never>, "name" | "requirement" | "section" | "rfc">;

/** What a client asked for, which the answer is held against. */
export interface ClientHandshake {
  readonly key: ByteString | null;
  readonly subprotocols: readonly ByteString[];
  /** The lines of Sec-WebSocket-Extensions. */
  readonly extensions: readonly ByteString[];
  /** What it offers of permessage-deflate is not the upstream's to accept. */
  readonly isDeflateWithheld: boolean;
}

/** RFC 6455 section 1.3: what a server appends to the key before it hashes it. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Sixteen bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

const CLIENT_RULES: readonly Rule<RequestHead>[] = [
  {
    name: "method",
    requirement: "the method must be GET",
    section: "4.2.1, 1",
    isRelaxable: false,
    holds: (head) => head.method === "GET",
  },
  {
    name: "http-version",
    requirement: "the request must be HTTP/1.1",
    section: "4.2.1, 1",
    isRelaxable: false,
    // Or HTTP/2, where RFC 8441 says what stands for such a request.
    holds: (head) => head.versionMajor === 2 || head.versionMinor === 1,
  },
  {
    name: "no-body",
    requirement: "there must be no body",
    section: "4.1",
    isRelaxable: false,
    holds: ({ framing }) => framing.kind === "none" || (framing.kind === "length" && framing.length === 0),
  },
  {
    name: "connection",
    requirement: "Connection must list upgrade",
    section: "4.2.1, 4",
    isRelaxable: true,
    holds: (head) => head.upgrade.length > 0,
  },
  {
    name: "key",
    requirement: "there must be one Sec-WebSocket-Key, of 16 bytes in base64",
    section: "4.2.1, 5",
    isRelaxable: true,
    holds: ({ headers }) => {
      const keys = headers.getAll("sec-websocket-key");
      return keys.length === 1 && KEY.test(keys[0] ?? "");
    },
  },
  {
    name: "version",
    requirement: "Sec-WebSocket-Version must be 13",
    section: "4.2.1, 6",
    isRelaxable: true,
    holds: ({ headers }) => {
      const versions = headers.getAll("sec-websocket-version");
      return versions.length === 1 && versions[0] === "13";
    },
  },
  {
    name: "subprotocols",
    requirement: "Sec-WebSocket-Protocol must list tokens, each once",
    section: "4.1, 10",
    isRelaxable: true,
    holds: ({ headers }) => {
      const names = headers.getAll("sec-websocket-protocol").flatMap(parseList);
      const isGiven = headers.has("sec-websocket-protocol");
      return (!isGiven || names.length > 0) && names.every(isToken) && new Set(names).size === names.length;
    },
  },
  {
    name: "extensions",
    requirement: "Sec-WebSocket-Extensions must keep to its grammar",
    section: "9.1",
    isRelaxable: true,
    holds: ({ headers }) => parseExtensions(linesOf(headers)) !== null,
  },
];

interface Switch {
  readonly head: ResponseHead;
  readonly client: ClientHandshake;
}

const UPSTREAM_RULES: readonly Rule<Switch>[] = [
  {
    name: "upgrade",
    requirement: "Upgrade must be websocket",
    section: "4.1, 2",
    isRelaxable: false,
    holds: ({ head }) => {
      const protocols = head.headers.getAll("upgrade").flatMap(parseTokenList);
      return protocols.length === 1 && protocols[0] === "websocket";
    },
  },
  {
    name: "http-version",
    requirement: "the answer must be HTTP/1.1",
    section: "4.2.2, 5",
    isRelaxable: true,
    holds: ({ head }) => head.versionMinor === 1,
  },
  {
    name: "connection",
    requirement: "Connection must list upgrade",
    section: "4.1, 3",
    isRelaxable: true,
    holds: ({ head }) => head.upgrade.length > 0,
  },
  {
    name: "accept",
    requirement: "there must be one Sec-WebSocket-Accept, and it must answer the key",
    section: "4.1, 4",
    isRelaxable: true,
    holds: ({ head, client }) => {
      const accepts = head.headers.getAll("sec-websocket-accept");
      return client.key !== null && accepts.length === 1 && accepts[0] === acceptFor(client.key);
    },
  },
  {
    name: "compression-withheld",
    requirement: "permessage-deflate must not be agreed on where it was not offered",
    section: "5",
    rfc: 7692,
    isRelaxable: false,
    holds: ({ head, client }) => !client.isDeflateWithheld || findDeflate(linesOf(head.headers)) === null,
  },
  {
    name: "extensions",
    requirement: "Sec-WebSocket-Extensions must name nothing that the client did not offer",
    section: "4.1, 5",
    isRelaxable: true,
    holds: ({ head, client }) =>
      extensionNames(linesOf(head.headers))?.every((name) =>
        extensionNames(client.extensions)?.includes(name),
      ) ?? false,
  },
  {
    name: "compression",
    requirement: "the parameters of permessage-deflate must be ones that the client's offer allows",
    section: "7.1",
    rfc: 7692,
    isRelaxable: true,
    holds: ({ head, client }) => isLegalAnswer(client.extensions, linesOf(head.headers)),
  },
  {
    name: "subprotocol",
    requirement: "Sec-WebSocket-Protocol must be one of those that the client offered",
    section: "4.1, 6",
    isRelaxable: true,
    holds: ({ head, client }) => {
      const chosen = head.headers.getAll("sec-websocket-protocol");
      return chosen.length === 0 || (chosen.length === 1 && client.subprotocols.includes(chosen[0] ?? ""));
    },
  },
];

/** The first rule that a client's handshake breaks, or null. */
export function brokenClientRule(head: RequestHead, strictness: HandshakeStrictness): BrokenRule | null {
  return firstBroken(CLIENT_RULES, head, strictness);
}

/** The first rule that an upstream's 101 breaks, or null: then the tunnel may begin. */
export function brokenUpstreamRule(
  head: ResponseHead,
  client: ClientHandshake,
  strictness: HandshakeStrictness,
): BrokenRule | null {
  return firstBroken(UPSTREAM_RULES, { head, client }, strictness);
}

/** What the answer to a client's handshake has to fit, once it has been sent on, perhaps without permessage-deflate. */
export function clientHandshake({ headers }: RequestHead, isDeflateWithheld: boolean): ClientHandshake {
  const extensions = linesOf(headers);
  return {
    key: headers.get("sec-websocket-key") ?? null,
    subprotocols: headers.getAll("sec-websocket-protocol").flatMap(parseList),
    extensions: isDeflateWithheld ? extensions.map(withoutDeflate) : extensions,
    isDeflateWithheld,
  };
}

/** Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2, 5.4). */
export function acceptFor(key: ByteString): ByteString {
  return createHash("sha1")
    .update(key + ACCEPT_GUID, "latin1")
    .digest("base64");
}

function firstBroken<Subject>(
  rules: readonly Rule<Subject>[],
  subject: Subject,
  strictness: HandshakeStrictness,
): BrokenRule | null {
  const isHeld = (rule: Rule<Subject>): boolean => strictness === "strict" || !rule.isRelaxable;
  return rules.find((rule) => isHeld(rule) && !rule.holds(subject)) ?? null;
}

function linesOf(headers: HeaderList): readonly ByteString[] {
  return headers.getAll("sec-websocket-extensions");
}

/** The names in lines of Sec-WebSocket-Extensions, in lower case; null where they keep not to the grammar. */
function extensionNames(lines: readonly ByteString[]): readonly ByteString[] | null {
  return parseExtensions(lines)?.map(({ name }) => name) ?? null;
}
