import { describe, expect, test } from "vitest";
import { type ProxyHeaderResult, readProxyHeader } from "./proxy-protocol.ts";

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";

function read(text: string): ProxyHeaderResult {
  return readProxyHeader(Buffer.from(text, "latin1"));
}

function uint16(value: number): string {
  return String.fromCharCode(value >> 8, value & 0xff);
}

function version2(
  command: number,
  transport: number,
  block: string,
  announced: number = block.length,
): string {
  return `${SIGNATURE}${String.fromCharCode(command, transport)}${uint16(announced)}${block}`;
}

function tlv(type: number, value: string): string {
  return String.fromCharCode(type) + uint16(value.length) + value;
}

const IPV4_BLOCK = `\x0a\x00\x00\x01\x0a\x00\x00\x02${uint16(4711)}${uint16(443)}`;
const IPV6_BLOCK = `\x20\x01\x0d\xb8${"\0".repeat(11)}\x01${"\0".repeat(15)}\x01${uint16(4711)}${uint16(443)}`;

const IPV4 = {
  sourceAddress: "10.0.0.1",
  sourcePort: 4711,
  destinationAddress: "10.0.0.2",
  destinationPort: 443,
};

/** Headers with what they say; whatever follows them belongs to the connection. */
const GOOD: readonly (readonly [why: string, header: string, info: object | null])[] = [
  ["version 1 for IPv4", "PROXY TCP4 10.0.0.1 10.0.0.2 4711 443\r\n", IPV4],
  [
    "version 1 for IPv6",
    "PROXY TCP6 2001:db8::1 ::1 4711 0\r\n",
    { sourceAddress: "2001:db8::1", sourcePort: 4711, destinationAddress: "::1", destinationPort: 0 },
  ],
  ["version 1 that knows nothing", "PROXY UNKNOWN\r\n", null],
  ["version 1 that knows nothing and says more", "PROXY UNKNOWN ff:: ::1 1 2\r\n", null],
  ["version 2 for IPv4", version2(0x21, 0x11, IPV4_BLOCK), IPV4],
  ["version 2 for IPv4 and UDP", version2(0x21, 0x12, IPV4_BLOCK), null],
  [
    "version 2 for IPv6",
    version2(0x21, 0x21, IPV6_BLOCK),
    { sourceAddress: "2001:db8::1", sourcePort: 4711, destinationAddress: "::1", destinationPort: 443 },
  ],
  ["version 2 for Unix sockets", version2(0x21, 0x31, "/".repeat(216)), null],
  ["version 2 for nothing", version2(0x21, 0x00, ""), null],
  ["version 2 with TLVs", version2(0x21, 0x11, IPV4_BLOCK + tlv(1, "h2") + tlv(2, "")), IPV4],
  ["LOCAL", version2(0x20, 0x00, ""), null],
  ["LOCAL with an address that means nothing", version2(0x20, 0x11, IPV4_BLOCK), null],
  ["LOCAL with malformed TLVs", version2(0x20, 0x00, "\x01\xff\xff"), null],
];

const BAD: readonly (readonly [why: string, header: string])[] = [
  ["nothing of the kind", "GET / HTTP/1.1\r\n"],
  ["a signature that goes wrong at its end", "\r\n\r\n\0\r\nQUIT\r"],
  ["an unknown family", "PROXY UDP4 10.0.0.1 10.0.0.2 1 2\r\n"],
  ["families mixed up", "PROXY TCP4 ::1 ::1 1 2\r\n"],
  ["an IPv4 address of five parts", "PROXY TCP4 1.2.3.4.5 10.0.0.2 1 2\r\n"],
  ["an address with a zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"],
  ["a port above 65535", "PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n"],
  ["a port with a leading zero", "PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n"],
  ["two spaces", "PROXY TCP4  10.0.0.1 10.0.0.2 1 2\r\n"],
  ["more behind the ports", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n"],
  ["a line without an end", `PROXY UNKNOWN ${"x".repeat(100)}`],
  ["a line ended by LF alone", `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n${"x".repeat(100)}`],
  ["version 3", version2(0x31, 0x11, IPV4_BLOCK)],
  ["an unknown command", version2(0x22, 0x11, IPV4_BLOCK)],
  ["an unknown family in version 2", version2(0x21, 0x41, IPV4_BLOCK)],
  ["an unknown transport", version2(0x21, 0x13, IPV4_BLOCK)],
  ["less than its addresses need", version2(0x21, 0x11, IPV4_BLOCK.slice(1))],
  ["a TLV cut off in its head", version2(0x21, 0x11, `${IPV4_BLOCK}\x01\x00`)],
  ["a TLV longer than the header (CVE-2024-23327)", version2(0x21, 0x11, `${IPV4_BLOCK}\x01\xff\xffx`)],
  ["more than any header needs", version2(0x21, 0x11, IPV4_BLOCK, 5000)],
];

describe("readProxyHeader", () => {
  test.each(GOOD)("reads %s", (_why, header, info) => {
    expect(read(`${header}GET / `)).toEqual({ kind: "header", bytes: header.length, info });
  });

  test.each(GOOD)("waits for the rest of %s, wherever it is cut", (_why, header) => {
    for (let cut = 0; cut < header.length; cut++)
      expect(read(header.slice(0, cut))).toEqual({ kind: "more" });
  });

  test.each(BAD)("refuses %s", (_why, header) => {
    expect(read(header).kind).toBe("error");
  });

  test.each(BAD)("never takes a beginning of %s for a header", (_why, header) => {
    for (let cut = 0; cut < header.length; cut++) expect(read(header.slice(0, cut)).kind).not.toBe("header");
  });
});
