import { isIP } from "node:net";
import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import type { Template } from "../../compile/template.ts";
import { anyOf, custom, flag, integer, MANY, timeMs } from "../../compile/values.ts";
import type { Word } from "../../config/tree.ts";
import type { NextCondition } from "../../proxy/rules.ts";

/** The words of `proxy_next_upstream`. */
export type NextUpstreamWord = NextCondition | "non_idempotent" | "off";

/** Times in milliseconds. */
export interface TrySettings {
  readonly proxy_connect_timeout: number;
  readonly proxy_send_timeout: number;
  readonly proxy_read_timeout: number;
  readonly proxy_next_upstream: readonly NextUpstreamWord[];
  readonly proxy_next_upstream_tries: number;
  readonly proxy_next_upstream_timeout: number;
  readonly proxy_ignore_client_abort: boolean;
  readonly proxy_bind: Template | null;
  readonly proxy_socket_keepalive: boolean;
}

/** Connections to upstreams, how long they may take, and what happens when they fail. */
export const tryRows: RowsOf<TrySettings> = {
  proxy_connect_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 60_000,
    defaultText: "60s",
    doc: "How long a connection to the upstream may take to be made.",
  }),
  proxy_send_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 60_000,
    defaultText: "60s",
    doc: "How long the upstream may take nothing of what is sent to it.",
  }),
  proxy_read_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 60_000,
    defaultText: "60s",
    doc: "How long the upstream may send nothing. In a tunnel: how long neither side may.",
  }),
  proxy_next_upstream: one({
    in: HTTP_SERVER_LOCATION,
    type: anyOf(
      "error",
      "timeout",
      "invalid_header",
      "non_idempotent",
      "http_500",
      "http_502",
      "http_503",
      "http_504",
      "http_403",
      "http_404",
      "http_429",
      "off",
    ),
    default: ["error", "timeout"],
    defaultText: "error timeout",
    doc: "When a request goes to another server of the group. Requests that must not be repeated (POST, LOCK, PATCH) do so after they were sent only with non_idempotent.",
  }),
  proxy_next_upstream_tries: one({
    in: HTTP_SERVER_LOCATION,
    type: integer(0, MANY),
    default: 0,
    doc: "How many servers may be tried; 0: all.",
  }),
  proxy_next_upstream_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 0,
    doc: "How long after its beginning a request may still go to another server; 0: always.",
  }),
  proxy_ignore_client_abort: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    doc: "on: a request goes on when its client has gone away.",
  }),
  proxy_bind: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("address | off", [1, 2], parseBind),
    default: null,
    doc: "The local address, and perhaps port, of connections to the upstream.",
  }),
  proxy_socket_keepalive: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    doc: "Whether the system probes silent connections to the upstream (SO_KEEPALIVE).",
  }),
};

function parseBind(args: readonly Word[], check: Check): Template | null | undefined {
  const [address, transparent] = args;
  if (address === undefined) return undefined;
  if (transparent !== undefined) {
    check.error(transparent.span, `invalid parameter "${transparent.text}"`, {
      code: "invalid-parameter",
      notes: [{ message: 'nginx has "transparent"; Node cannot bind to an address that is not its own' }],
    });
    return undefined;
  }
  if (address.text === "off") return null;
  const template = check.template(address);
  if (template.constant !== null && parseLocalAddress(template.constant) === null) {
    check.error(address.span, `invalid address "${address.text}"`, {
      code: "invalid-address",
      notes: [{ message: 'an address of this machine may stand here, with or without a port, or "off"' }],
    });
    return undefined;
  }
  return template;
}

/** `address`, `address:port` or `[address]:port`; null if it is none. */
export function parseLocalAddress(
  text: string,
): { readonly address: string; readonly port: number | null } | null {
  if (isIP(text) !== 0) return { address: text, port: null };
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? "";
  const port = match?.[3] === undefined ? null : Number(match[3]);
  return isIP(address) !== 0 && (port ?? 0) <= 65_535 ? { address, port } : null;
}
