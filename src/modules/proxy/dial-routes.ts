import type { Check } from "../../compile/check.ts";
import type { Request } from "../../compile/request.ts";
import type { Template } from "../../compile/template.ts";
import type { DialRoute } from "../../proxy/dial.ts";
import { hostAndPort } from "../../proxy/pass-url.ts";
import { nameWithoutPort, type UpstreamTls } from "../../proxy/upstream-tls.ts";
import type { PassSetting } from "./pass.ts";
import { buildTls, type SslSettings } from "./ssl.ts";
import { parseLocalAddress } from "./tries.ts";

/** How the connection for a request is made, given the scheme that proxy_pass names. */
export type DialRoutes = (request: Request, scheme: "http" | "https") => DialRoute;

/** From which local address, with which TLS settings, under which name. Undefined after a report. */
export function dialRoutes(
  proxy_bind: Template | null,
  ssl: SslSettings,
  pass: PassSetting,
  check: Check,
): DialRoutes | undefined {
  const mayNeedTls = pass.kind === "variables" || pass.url.scheme === "https";
  const tls = mayNeedTls ? buildTls(ssl, pass.span, check) : null;
  if (tls === undefined) return undefined;
  const isConstant =
    pass.kind === "constant" &&
    isConstantOrNone(proxy_bind) &&
    (tls === null || isConstantOrNone(ssl.proxy_ssl_name));
  if (isConstant) {
    const name = ssl.proxy_ssl_name?.constant ?? hostAndPort(pass.url).host;
    const route = makeRoute(proxy_bind?.constant ?? "", tls, name);
    return () => route;
  }
  return (request, scheme) => {
    const name = ssl.proxy_ssl_name?.render(request) ?? request.proxied?.host ?? "";
    return makeRoute(proxy_bind?.render(request) ?? "", scheme === "https" ? tls : null, name);
  };
}

function makeRoute(bind: string, tls: UpstreamTls | null, name: string): DialRoute {
  const local = parseLocalAddress(bind);
  const tlsName = tls === null ? "" : nameWithoutPort(name);
  return {
    profile: `${tls?.settings.fingerprint ?? ""} ${tlsName} ${bind}`,
    localAddress: local?.address ?? null,
    localPort: local?.port ?? null,
    tls,
    tlsName,
  };
}

function isConstantOrNone(template: Template | null): boolean {
  return template === null || template.constant !== null;
}
