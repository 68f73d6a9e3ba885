import { isIP } from "node:net";
import type { ByteString } from "./bytes.ts";

/** An IP address as its 4 or 16 bytes; empty for a Unix-domain socket. */
export function addressBytes(address: string): ByteString {
  switch (isIP(address)) {
    case 4:
      return String.fromCharCode(...address.split(".").map(Number));
    case 6:
      return ipv6Bytes(address);
    default:
      return "";
  }
}

function ipv6Bytes(address: string): ByteString {
  // The last 32 bits may be written as an IPv4 address.
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain =
    dotted === null ? address : `${dotted[1] ?? ""}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`;
  const [head = "", tail] = plain.split("%")[0]?.split("::") ?? [];
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => 0);
  return [...before, ...zeros, ...after]
    .map((group) => String.fromCharCode(group >> 8, group & 0xff))
    .join("");
}

function hex(high: string | undefined, low: string | undefined): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}
