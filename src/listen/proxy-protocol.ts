import { isIPv4, isIPv6 } from "node:net";
import type { ProxyProtocolInfo } from "../compile/request.ts";

/**
 * Reads the header that a load balancer puts before everything else on a connection: version 1 as text, version 2 as
 * binary (haproxy's doc/proxy-protocol.txt). Strict: whoever can send a header decides which address is logged and
 * let in, so that nothing is guessed.
 */
export type ProxyHeaderResult =
  /** The header goes on. */
  | { readonly kind: "more" }
  /** `info` is null where the balancer speaks for itself (LOCAL, UNKNOWN) or for a kind of address without a port. */
  | { readonly kind: "header"; readonly bytes: number; readonly info: ProxyProtocolInfo | null }
  | { readonly kind: "error"; readonly message: string };

const MORE: ProxyHeaderResult = { kind: "more" };

const V1_PREFIX: Buffer = Buffer.from("PROXY ", "latin1");
/** CR LF included; the specification's own limit. */
const V1_BYTES_MAX = 107;
const V1_LINE = /^PROXY (TCP4|TCP6) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (\d{1,5}) (\d{1,5})$/;

const V2_SIGNATURE: Buffer = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const V2_HEAD_BYTES = 16;
/** As nginx's NGX_PROXY_PROTOCOL_MAX_HEADER; the specification promises that 536 bytes arrive in one piece. */
const V2_BYTES_MAX = 4096;
const V2_COMMAND_LOCAL = 0x20;
const V2_COMMAND_PROXY = 0x21;
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;
/** Lengths of the address blocks by family: unspecified, IPv4, IPv6, Unix. */
const V2_ADDRESS_BYTES = [0, 12, 36, 216] as const;

/** Looks at all bytes that a connection has sent so far. */
export function readProxyHeader(bytes: Buffer): ProxyHeaderResult {
  if (startsLike(bytes, V1_PREFIX)) return bytes.length < V1_PREFIX.length ? MORE : readVersion1(bytes);
  if (startsLike(bytes, V2_SIGNATURE)) return bytes.length < V2_HEAD_BYTES ? MORE : readVersion2(bytes);
  return broken("no PROXY protocol header");
}

/** Whether `bytes` and `expected` agree as far as both go. */
function startsLike(bytes: Buffer, expected: Buffer): boolean {
  const length = Math.min(bytes.length, expected.length);
  return bytes.compare(expected, 0, length, 0, length) === 0;
}

function readVersion1(bytes: Buffer): ProxyHeaderResult {
  const line = bytes.toString("latin1", 0, Math.min(bytes.length, V1_BYTES_MAX));
  const lineEnd = line.indexOf("\r\n");
  if (lineEnd < 0) return bytes.length < V1_BYTES_MAX ? MORE : broken("too long header");
  const text = line.slice(0, lineEnd);
  const length = lineEnd + 2;
  if (text === "PROXY UNKNOWN" || text.startsWith("PROXY UNKNOWN "))
    return { kind: "header", bytes: length, info: null };

  const [, family, source = "", destination = "", sourcePort = "", destinationPort = ""] =
    V1_LINE.exec(text) ?? [];
  const isAddress = family === "TCP4" ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(source) || !isAddress(destination)) return broken("invalid address");
  if (!isPort(sourcePort) || !isPort(destinationPort)) return broken("invalid port");
  return {
    kind: "header",
    bytes: length,
    info: {
      sourceAddress: source,
      sourcePort: Number(sourcePort),
      destinationAddress: destination,
      destinationPort: Number(destinationPort),
    },
  };
}

function isPort(text: string): boolean {
  return String(Number(text)) === text && Number(text) <= 0xffff;
}

function readVersion2(bytes: Buffer): ProxyHeaderResult {
  const command = bytes.readUInt8(12);
  const transport = bytes.readUInt8(13);
  const length = V2_HEAD_BYTES + bytes.readUInt16BE(14);
  if (command !== V2_COMMAND_LOCAL && command !== V2_COMMAND_PROXY)
    return broken("unknown version or command");
  if (length > V2_BYTES_MAX) return broken("too long header");
  if (bytes.length < length) return MORE;
  // A health check of the balancer's own: what else the header holds means nothing.
  if (command === V2_COMMAND_LOCAL) return { kind: "header", bytes: length, info: null };

  const addressBytes = V2_ADDRESS_BYTES[transport >> 4];
  if (addressBytes === undefined || (transport & 0x0f) > 2)
    return broken("unknown address family or transport");
  const tlvs = bytes.subarray(V2_HEAD_BYTES + addressBytes, length);
  if (length < V2_HEAD_BYTES + addressBytes || !areWhole(tlvs)) return broken("header with a wrong length");
  return { kind: "header", bytes: length, info: readAddresses(bytes.subarray(V2_HEAD_BYTES), transport) };
}

function readAddresses(block: Buffer, transport: number): ProxyProtocolInfo | null {
  if (transport === V2_TCP4) {
    return {
      sourceAddress: block.subarray(0, 4).join("."),
      destinationAddress: block.subarray(4, 8).join("."),
      sourcePort: block.readUInt16BE(8),
      destinationPort: block.readUInt16BE(10),
    };
  }
  if (transport === V2_TCP6) {
    return {
      sourceAddress: ipv6Text(block.subarray(0, 16)),
      destinationAddress: ipv6Text(block.subarray(16, 32)),
      sourcePort: block.readUInt16BE(32),
      destinationPort: block.readUInt16BE(34),
    };
  }
  return null;
}

/** Whether type-length-value entries fill `bytes` exactly. */
function areWhole(bytes: Buffer): boolean {
  let at = 0;
  while (at + 3 <= bytes.length) at += 3 + bytes.readUInt16BE(at + 1);
  return at === bytes.length;
}

/** RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2));
  let [runStart, runLength] = [0, 0];
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > runLength) [runStart, runLength] = [start, length];
  }
  const hex = groups.map((group) => group.toString(16));
  if (runLength < 2) return hex.join(":");
  return `${hex.slice(0, runStart).join(":")}::${hex.slice(runStart + runLength).join(":")}`;
}

function broken(message: string): ProxyHeaderResult {
  return { kind: "error", message };
}
