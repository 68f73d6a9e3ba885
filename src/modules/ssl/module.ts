import type { Module } from "../../compile/module.ts";
import { settingsAt } from "../../compile/rows.ts";
import type { Scope } from "../../compile/scope.ts";
import { effectlessRows, type LoadedFile, rows } from "./rows.ts";
import { makeTlsSettings } from "./tls-settings.ts";
import { sslVariables } from "./variables.ts";

/** TLS towards clients: certificates, versions, ciphers, client certificates. */
export const sslModule: Module = {
  name: "ngx_http_ssl_module",
  directives: { ...rows, ...effectlessRows },
  variables: sslVariables,
  server(scope, check) {
    const settings = settingsAt(rows, scope);
    // A certificate that could not be loaded has been reported, and is not missing.
    if (hasUnloaded("ssl_certificate", settings.ssl_certificate, scope)) return { tls: null };
    if (hasUnloaded("ssl_certificate_key", settings.ssl_certificate_key, scope)) return { tls: null };
    if (settings.ssl_certificate.length === 0 && !settings.ssl_reject_handshake) return {};
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

/** Whether fewer files were loaded than the level that decides names. */
function hasUnloaded(name: string, loaded: readonly LoadedFile[], scope: Scope): boolean {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const written = (level.directive?.block ?? []).filter((directive) => directive.name.text === name);
    if (written.length > 0) return loaded.length < written.length;
  }
  return false;
}
