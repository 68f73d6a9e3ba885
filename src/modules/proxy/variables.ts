import type { ByteString } from "../../base/bytes.ts";
import type { VariableRow } from "../../compile/module.ts";
import type { Request } from "../../compile/request.ts";
import type { Getter } from "../../compile/template.ts";

function row(name: string, doc: string, get: Getter): VariableRow {
  return { name, family: false, doc, from: "upstream", changeable: false, nginx: true, get: () => get };
}

export const proxyVariables: readonly VariableRow[] = [
  row("proxy_host", "Host and port in proxy_pass, without the port that the scheme stands for.", (request) =>
    request.proxied === null ? undefined : request.proxied.host,
  ),
  row("proxy_port", "Port in proxy_pass, or that of its scheme.", (request) =>
    request.proxied === null ? undefined : request.proxied.port,
  ),
  row(
    "proxy_add_x_forwarded_for",
    "The client's X-Forwarded-For with the client's address added at its end.",
    forwardedFor,
  ),
];

function forwardedFor(request: Request): ByteString {
  const { remoteAddress } = request.connection;
  const { headers } = request.head;
  const first = headers.get("x-forwarded-for");
  return first === undefined
    ? remoteAddress
    : [...headers.getAll("x-forwarded-for"), remoteAddress].join(", ");
}
