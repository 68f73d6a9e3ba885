import { parseUpstreamAddress, type UpstreamAddress } from "../upstream/upstream-address.ts";

/** What proxy_pass says, taken apart. */
export interface PassUrl {
  readonly scheme: "http" | "https";
  readonly address: UpstreamAddress;
  /** Host and port as written. */
  readonly authority: string;
  /** The URI part; empty where there is none. */
  readonly uri: string;
}

export type PassUrlResult =
  | { readonly ok: true; readonly url: PassUrl }
  /** In nginx's words. */
  | { readonly ok: false; readonly reason: "prefix" | "address"; readonly message: string };

/** The port that a scheme stands for. */
export const DEFAULT_PORTS = { http: 80, https: 443 } as const;

export function parsePassUrl(text: string): PassUrlResult {
  const match = /^(https?):\/\/(.*)$/is.exec(text);
  if (match === null) return { ok: false, reason: "prefix", message: "invalid URL prefix" };
  const scheme = match[1]?.toLowerCase() === "https" ? "https" : "http";
  const { authority, uri } = splitAuthority(match[2] ?? "");
  const result = parseUpstreamAddress(authority);
  return result.ok
    ? { ok: true, url: { scheme, address: result.address, authority, uri } }
    : { ok: false, reason: "address", message: `${result.message} in upstream "${authority}${uri}"` };
}

/** `$proxy_host` and `$proxy_port`, as ngx_http_proxy_set_vars makes them. */
export function hostAndPort({ scheme, address, authority }: PassUrl): {
  readonly host: string;
  readonly port: string;
} {
  if (address.kind === "unix") return { host: "localhost", port: "" };
  const port = address.port ?? DEFAULT_PORTS[scheme];
  const isDefault = port === DEFAULT_PORTS[scheme];
  return { host: isDefault ? authority.replace(/:\d+$/, "") : authority, port: String(port) };
}

/** A Unix socket's path ends at a colon, everything else at a slash or a question mark. */
function splitAuthority(rest: string): { readonly authority: string; readonly uri: string } {
  const match = /^(unix:[^:]*):?(.*)$/is.exec(rest) ?? /^([^/?]*)(.*)$/s.exec(rest);
  return { authority: match?.[1] ?? "", uri: match?.[2] ?? "" };
}
