import type { ByteString } from "../base/bytes.ts";
import type { Request } from "../compile/request.ts";

const STANDARD_PORT = { http: 80, https: 443 } as const;

/** What Location says: a path is made absolute as absolute_redirect, server_name_in_redirect and port_in_redirect say. */
export function absoluteLocation(request: Request, location: ByteString): ByteString {
  const { core } = request.location;
  if (!location.startsWith("/") || location.startsWith("//") || !core.absolute_redirect) return location;
  const { scheme, localPort, localAddress } = request.connection;
  const named = core.server_name_in_redirect
    ? request.server.name
    : (request.head.host ?? request.server.name);
  const host = named === "" ? bracketed(localAddress) : named;
  const port =
    core.port_in_redirect && localPort !== STANDARD_PORT[scheme] && localPort !== 0 ? `:${localPort}` : "";
  return `${scheme}://${host}${port}${location}`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
