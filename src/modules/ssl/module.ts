import type { Module } from "../../compile/module.ts";
import { settingsAt } from "../../compile/rows.ts";
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
