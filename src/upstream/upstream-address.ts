import { isIPv6 } from "node:net";
import { byteStringFromText } from "../base/bytes.ts";
import type { PeerAddress } from "./peer.ts";

/** Longest path that a Unix socket can have: sun_path less its final NUL. */
const UNIX_PATH_BYTES_MAX = 107;

/** The address of a server as it is written in a configuration: `host`, `host:port`, `[::1]:port` or `unix:/path`. */
export type UpstreamAddress =
  | { readonly kind: "unix"; readonly path: string }
  /** `port` is null where none was written. An IPv6 literal stands without its brackets. */
  | { readonly kind: "inet"; readonly host: string; readonly port: number | null };

export type AddressResult =
  | { readonly ok: true; readonly address: UpstreamAddress }
  /** In nginx's words, to be continued by `in upstream "…"`. */
  | { readonly ok: false; readonly message: string };

/** Reads an address as ngx_parse_url does. */
export function parseUpstreamAddress(text: string): AddressResult {
  if (/^unix:/i.test(text)) return parseUnix(text.slice("unix:".length));
  const match = /^(\[[^\]]*\]|[^:/?]*)(?::(.*))?$/s.exec(text);
  if (match === null) return refuse("invalid host");
  const [, rawHost = "", rawPort] = match;
  const port = rawPort === undefined ? null : parsePort(rawPort);
  if (port === undefined) return refuse("invalid port");
  if (rawHost.startsWith("[")) {
    const host = rawHost.slice(1, -1);
    return isIPv6(host) ? inet(host, port) : refuse("invalid IPv6 address");
  }
  if (rawHost === "") return refuse("no host");
  return /\s/.test(rawHost) ? refuse("invalid host") : inet(rawHost, port);
}

/** The addresses to dial for what was written, once its name has been resolved to `literals`. */
export function peerAddresses(
  address: UpstreamAddress,
  literals: readonly string[],
  defaultPort: number,
): readonly PeerAddress[] {
  if (address.kind === "unix") return [{ path: address.path }];
  const port = address.port ?? defaultPort;
  return literals.map((host) => ({ host, port }));
}

function parseUnix(path: string): AddressResult {
  if (path === "") return refuse("no path in the unix domain socket");
  return byteStringFromText(path).length > UNIX_PATH_BYTES_MAX
    ? refuse("too long path in the unix domain socket")
    : { ok: true, address: { kind: "unix", path } };
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

function inet(host: string, port: number | null): AddressResult {
  return { ok: true, address: { kind: "inet", host, port } };
}

function refuse(message: string): AddressResult {
  return { ok: false, message };
}
