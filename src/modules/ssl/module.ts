import type { Module } from "../../compile/module.ts";
import { settingsAt } from "../../compile/rows.ts";
import type { Scope } from "../../compile/scope.ts";
import { effectlessRows, rows } from "./rows.ts";
import { makeTlsSettings } from "./tls-settings.ts";
import { sslVariables } from "./variables.ts";

/** TLS towards clients: certificates, versions, ciphers, client certificates. */
export const sslModule: Module = {
  name: "ngx_http_ssl_module",
  directives: { ...rows, ...effectlessRows },
  variables: sslVariables,
  server(scope, check) {
    const settings = settingsAt(rows, scope);
    if (settings.ssl_certificate.length === 0 && !settings.ssl_reject_handshake) {
      // One that is written and has no value could not be read, which has been reported.
      return isWritten("ssl_certificate", scope) ? { tls: null } : {};
    }
    if (
      settings.ssl_verify_client !== "off" &&
      settings.ssl_verify_client !== "optional_no_ca" &&
      settings.ssl_client_certificate === null
    ) {
      check.error(scope.ownSpan(rows.ssl_verify_client), "no ssl_client_certificate for ssl_verify_client", {
        code: "no-client-authority",
      });
      return { tls: null };
    }
    return { tls: makeTlsSettings(settings, check) };
  },
};

/** Whether the directive stands on this level or on one above, with a value or not. */
function isWritten(name: string, scope: Scope): boolean {
  if (scope.directive?.block?.some((directive) => directive.name.text === name) === true) return true;
  return scope.parent !== null && isWritten(name, scope.parent);
}
