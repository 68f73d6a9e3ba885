import { assert } from "../../base/assert.ts";
import { byteStringFromText } from "../../base/bytes.ts";
import type { Check } from "../../compile/check.ts";
import type { Request } from "../../compile/request.ts";
import { settingsAt } from "../../compile/rows.ts";
import type { Scope } from "../../compile/scope.ts";
import { constantTemplate, type Template } from "../../compile/template.ts";
import { hiddenHeaders } from "../../proxy/answer-head.ts";
import { DEFAULT_PORTS, hostAndPort } from "../../proxy/pass-url.ts";
import { PLAN_TUNNELS } from "../../proxy/plan-tunnels.ts";
import { RequestHeadPlan } from "../../proxy/request-head.ts";
import { isNextCondition, type ProxyPass, type ProxyRules } from "../../proxy/rules.ts";
import { originalTarget, replacedTarget, type TargetMaker } from "../../proxy/target.ts";
import { UPGRADE_SETTINGS } from "../../proxy/upgrade.ts";
import { requestGroupsOf, UPSTREAMS } from "../../proxy/upstreams-key.ts";
import { VariablePass } from "../../proxy/variable-pass.ts";
import { RESOLVERS } from "../../upstream/resolver.ts";
import { bufferingRows } from "./buffering.ts";
import { cookieRows, cookieRules } from "./cookie-rows.ts";
import { dialRoutes } from "./dial-routes.ts";
import { headerRows } from "./headers.ts";
import { type PassSetting, passRows } from "./pass.ts";
import { redirectRules } from "./redirect-rules.ts";
import { sslRows } from "./ssl.ts";
import { tryRows } from "./tries.ts";

/** A proxy_pass and the level that it stands on. */
export interface PlacedPass {
  readonly pass: PassSetting;
  readonly level: Scope;
}

/**
 * The proxy_pass in force: of this level, or, for a block inside a location (`if`, `limit_except`), of the location. A
 * location within a location starts anew.
 */
export function findPass(scope: Scope): PlacedPass | null {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const pass = settingsAt(passRows, level).proxy_pass;
    if (pass !== null) return { pass, level };
    if (level.context === "location") return null;
  }
  return null;
}

/** All that a location says about proxying, compiled; null after a report. */
export function buildRules(scope: Scope, { pass, level }: PlacedPass, check: Check): ProxyRules | null {
  const upgrade = check.share(UPGRADE_SETTINGS).get(scope);
  assert(upgrade !== undefined, "the websocket module stands before the proxy module");
  const settings = {
    ...settingsAt(passRows, scope),
    ...settingsAt(headerRows, scope),
    ...settingsAt(tryRows, scope),
    ...settingsAt(bufferingRows, scope),
  };
  checkUri(pass, level, check);
  const proxy_pass = buildPass(pass, scope, check);
  const route = dialRoutes(settings.proxy_bind, settingsAt(sslRows, scope), pass, check);
  if (proxy_pass === null || route === undefined) return null;
  const { early_hints, proxy_buffers } = settings;
  const readAheadBytesMax = proxy_buffers.count * proxy_buffers.size;
  const proxy_read_timeout = Math.max(1, settings.proxy_read_timeout);
  return {
    ...settings,
    ...upgrade,
    // nginx lets a time of 0 pass at once; a deadline needs some time to pass.
    proxy_connect_timeout: Math.max(1, settings.proxy_connect_timeout),
    proxy_send_timeout: Math.max(1, settings.proxy_send_timeout),
    proxy_read_timeout,
    proxy_pass,
    tunnels: check.share(PLAN_TUNNELS),
    route,
    target: targetMaker(pass, level),
    head: new RequestHeadPlan({ ...settings, host: defaultHost(pass) }),
    readAheadBytesMax,
    flowLimits: {
      aheadBytesMax: settings.proxy_buffering ? readAheadBytesMax : 0,
      bytesPerSecond: 0,
      proxy_read_timeout,
    },
    proxy_next_upstream: new Set(settings.proxy_next_upstream.filter(isNextCondition)),
    retriesNonIdempotent: settings.proxy_next_upstream.includes("non_idempotent"),
    hiddenHeaders: hiddenHeaders(settings.proxy_hide_header, settings.proxy_pass_header),
    proxy_ignore_headers: new Set(settings.proxy_ignore_headers),
    proxy_redirect: redirectRules(settings.proxy_redirect, pass, pathOf(level), check),
    cookies: cookieRules(settingsAt(cookieRows, scope)),
    passesEarlyHints: (request) => early_hints.some((hint) => isTrue(hint, request)),
  };
}

/** A URI takes the place of what the location matched, so there must be something that it can take the place of. */
function checkUri(pass: PassSetting, level: Scope, check: Check): void {
  if (pass.kind === "variables" || pass.url.uri === "") return;
  const { head } = level;
  if (head.kind === "location" && head.match !== "regex" && head.match !== "named") return;
  check.error(
    pass.span,
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, ' +
      'or inside "if" statement, or inside "limit_except" block',
    {
      code: "proxy-pass-uri",
      suggestion: `leave out "${pass.url.uri}", and change the path by a rewrite where that is needed`,
    },
  );
}

function buildPass(pass: PassSetting, scope: Scope, check: Check): ProxyPass | null {
  const upstreams = check.share(UPSTREAMS);
  if (pass.kind === "variables") {
    const variablePass = new VariablePass(
      pass.template,
      upstreams,
      requestGroupsOf(check),
      check.share(RESOLVERS).get(scope) ?? null,
    );
    return { kind: "variables", find: (request, found) => variablePass.find(request, found) };
  }
  const { scheme, address, authority } = pass.url;
  const block = address.kind === "inet" ? upstreams.explicit(address.host) : undefined;
  if (block !== undefined && address.kind === "inet" && address.port !== null) {
    check.error(pass.span, `upstream "${address.host}" may not have port ${address.port}`, {
      code: "upstream-port",
      suggestion: `leave out ":${address.port}": the ports stand in the upstream block`,
    });
    return null;
  }
  const group =
    block ??
    upstreams.implicit(address, DEFAULT_PORTS[scheme], check, (host) =>
      check.error(pass.span, `host not found in upstream "${host}"`, {
        code: "host-not-found",
        notes: [
          { message: `there is no upstream block of that name, and the name has no address (${authority})` },
        ],
      }),
    );
  const { host, port } = hostAndPort(pass.url);
  return { kind: "constant", destination: { scheme, group, host: byteStringFromText(host), port } };
}

function targetMaker(pass: PassSetting, level: Scope): TargetMaker {
  if (pass.kind === "variables" || pass.url.uri === "") return originalTarget;
  return replacedTarget(byteStringFromText(pass.url.uri), pathOf(level));
}

/** `$proxy_host`. */
function defaultHost(pass: PassSetting): Template {
  if (pass.kind === "constant") return constantTemplate(byteStringFromText(hostAndPort(pass.url).host));
  return { ...constantTemplate(""), constant: null, render: (request) => request.proxied?.host ?? "" };
}

/** The path of the location that a level is, or stands in. */
function pathOf(level: Scope): string {
  for (let scope: Scope | null = level; scope !== null; scope = scope.parent) {
    if (scope.head.kind === "location") return scope.head.path;
  }
  return "";
}

/** Neither empty nor `0`. */
function isTrue(template: Template, request: Request): boolean {
  const value = template.render(request);
  return value !== "" && value !== "0";
}
