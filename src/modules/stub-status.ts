import { handlerOf } from "../compile/handlers.ts";
import type { Module } from "../compile/module.ts";
import type { VariableRow } from "../compile/module.ts";
import { one } from "../compile/rows.ts";
import { custom } from "../compile/values.ts";
import { connectionCounts } from "../observe/connections.ts";

const rows = {
  stub_status: one({
    in: ["server", "location"],
    type: custom("", [0, 1], () => true),
    default: false,
    inherit: "none",
    isHandler: true,
    doc: "Answers with the numbers of connections and requests of this worker.",
  }),
} as const;

/** `Reading` and `Writing` count requests in the two halves of their life, `Waiting` idle connections. */
function statusText(): string {
  const { active, accepted, handled, requests, reading, writing, waiting } = connectionCounts;
  return (
    `Active connections: ${active} \n` +
    "server accepts handled requests\n" +
    ` ${accepted} ${handled} ${requests} \n` +
    `Reading: ${reading} Writing: ${writing} Waiting: ${waiting} \n`
  );
}

function variable(name: string, doc: string, read: () => number): VariableRow {
  return {
    name,
    doc,
    from: "connection",
    family: false,
    changeable: false,
    nginx: true,
    get: () => () => String(read()),
  };
}

/** Numbers of connections, for people and simple monitors. */
export const stubStatusModule: Module = {
  name: "ngx_http_stub_status_module",
  directives: rows,
  variables: [
    variable("connections_active", "Open connections of clients.", () => connectionCounts.active),
    variable(
      "connections_reading",
      "Connections whose request head is being read.",
      () => connectionCounts.reading,
    ),
    variable("connections_writing", "Connections that are being answered.", () => connectionCounts.writing),
    variable("connections_waiting", "Idle connections.", () => connectionCounts.waiting),
  ],
  location(scope) {
    if (handlerOf(scope) !== rows.stub_status) return {};
    return {
      content(request) {
        if (request.method !== "GET" && request.method !== "HEAD") return { kind: "status", status: 405 };
        return { kind: "answer", status: 200, body: statusText(), contentType: "text/plain", headers: [] };
      },
    };
  },
};
