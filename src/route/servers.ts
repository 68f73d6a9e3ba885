import type { ByteString } from "../base/bytes.ts";
import type { ListenerPlan, ServerNames, ServerPlan } from "../compile/plan.ts";
import { execRegex } from "../compile/regex.ts";
import type { Request } from "../compile/request.ts";

/**
 * The server of a listener that answers for `host` (lower case, without port and trailing dot), in nginx's order: exact
 * name, longest `*.suffix`, longest `prefix.*`, first regular expression, default server. The empty host, of a request
 * that names none, can only be named exactly: `server_name ""`.
 */
export function selectServer(listener: ListenerPlan, host: ByteString): ServerPlan {
  const { names } = listener;
  if (host === "") return names.exact.get("") ?? listener.defaultServer;
  const named = findByName(names, host);
  if (named !== undefined) return named;
  for (const { regex, server } of names.regexes) {
    if (regex.regexp.exec(host) !== null) return server;
  }
  return listener.defaultServer;
}

/**
 * Where the server was chosen by a regular expression, gives the request its captures and named variables. For a request
 * whose server {@link selectServer} has just chosen.
 */
export function captureServerName(request: Request, host: ByteString): void {
  const { names } = request.listener;
  if (host === "" || names.regexes.length === 0 || findByName(names, host) !== undefined) return;
  for (const { regex } of names.regexes) {
    if (execRegex(request, regex, host)) return;
  }
}

function findByName(names: ServerNames, host: ByteString): ServerPlan | undefined {
  const exact = names.exact.get(host);
  if (exact !== undefined) return exact;
  if (names.leadingWildcard.size > 0) {
    // From the left, so that the longest suffix is found first.
    for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
      const server = dot === 0 ? undefined : names.leadingWildcard.get(host.slice(dot));
      if (server !== undefined) return server;
    }
  }
  if (names.trailingWildcard.size > 0) {
    for (let dot = host.lastIndexOf("."); dot > 0; dot = host.lastIndexOf(".", dot - 1)) {
      const server = dot === host.length - 1 ? undefined : names.trailingWildcard.get(host.slice(0, dot + 1));
      if (server !== undefined) return server;
    }
  }
  return undefined;
}
