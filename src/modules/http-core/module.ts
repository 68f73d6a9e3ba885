import { tmpdir } from "node:os";
import type { Module, ServerParts } from "../../compile/module.ts";
import type { CoreLocation } from "../../compile/plan.ts";
import { settingsAt } from "../../compile/rows.ts";
import { constantTemplate } from "../../compile/template.ts";
import type { Check } from "../../compile/check.ts";
import type { Scope } from "../../compile/scope.ts";
import { defaultListen } from "./listen.ts";
import { blockRows, locationRows, serverRows } from "./rows.ts";
import { coreVariables } from "./variables.ts";
import { effectlessRows } from "./effectless-rows.ts";

/** Servers and locations: what they listen on, what they are called, their limits and timeouts. */
export const httpCoreModule: Module = {
  name: "ngx_http_core_module",
  directives: { ...blockRows, ...serverRows, ...locationRows, ...effectlessRows },
  variables: coreVariables,
  server: serverParts,
  location: (scope, check) => ({ core: coreLocation(scope, check) }),
};

function serverParts(scope: Scope): ServerParts {
  const settings = settingsAt(serverRows, scope);
  const listens = settings.listen.flat();
  const opener = scope.directive;
  const names = settings.server_name.flatMap((each) => each.specs);
  const withDefault = listens.length > 0 || opener === null ? listens : [defaultListen(opener.name.span)];
  const nameSpan = opener?.name.span;
  return {
    core: settings,
    listens: withDefault,
    // A server without a name answers to requests without a Host, as nginx's default server_name "" has it.
    names: names.length > 0 || nameSpan === undefined ? names : [{ kind: "exact", name: "", span: nameSpan }],
    name: settings.server_name[0]?.first ?? "",
  };
}

function coreLocation(scope: Scope, check: Check): CoreLocation {
  const { root, alias, ...settings } = settingsAt(locationRows, scope);
  return {
    ...settings,
    client_body_temp_path: settings.client_body_temp_path === "" ? tmpdir() : settings.client_body_temp_path,
    root:
      alias === null
        ? { template: root ?? constantTemplate(check.path("html", "prefix")), isAlias: false }
        : { template: alias, isAlias: true },
  };
}
