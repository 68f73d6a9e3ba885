import { handlerOf } from "../../compile/handlers.ts";
import type { LocationParts, Module } from "../../compile/module.ts";
import { proxyRequest } from "../../proxy/proxy-request.ts";
import { passesWebSockets } from "../../proxy/upgrade.ts";
import { bufferingRows } from "./buffering.ts";
import { buildRules, findPass } from "./build.ts";
import { cookieRows } from "./cookie-rows.ts";
import { effectlessRows } from "./effectless-rows.ts";
import { headerRows } from "./headers.ts";
import { passRows } from "./pass.ts";
import { sslRows } from "./ssl.ts";
import { tryRows } from "./tries.ts";
import { proxyVariables } from "./variables.ts";

/** Passes requests to upstreams. */
export const proxyModule: Module = {
  name: "ngx_http_proxy_module",
  directives: {
    ...passRows,
    ...headerRows,
    ...cookieRows,
    ...tryRows,
    ...bufferingRows,
    ...sslRows,
    ...effectlessRows,
  },
  variables: proxyVariables,
  location(scope, check): LocationParts {
    const placed = findPass(scope);
    const rules = placed === null ? null : buildRules(scope, placed, check);
    if (rules === null) return {};
    const { head } = scope;
    const redirectsToSlash = head.kind === "location" && head.path.endsWith("/");
    const handler = handlerOf(scope);
    // Checked all the same, but another directive answers here.
    if (handler !== null && handler !== passRows.proxy_pass) return { redirectsToSlash };
    const { proxy_pass, tunnels } = rules;
    const pass = proxy_pass.kind === "constant" ? proxy_pass.destination.group : null;
    tunnels.notePass(check.locationOf(scope), pass);
    return {
      content: (request) => proxyRequest(request, rules),
      passesWebSockets: passesWebSockets(rules),
      redirectsToSlash,
    };
  },
};
