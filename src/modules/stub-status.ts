import { handlerOf } from "../compile/handlers.ts";
import type { Module } from "../compile/module.ts";
import type { VariableRow } from "../compile/module.ts";
import { PENDING } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import { one } from "../compile/rows.ts";
import { custom } from "../compile/values.ts";
import {
  connectionCounts,
  type ConnectionCountsSnapshot,
  waitingConnections,
} from "../observe/connections.ts";
import { readServerCounts } from "../observe/server-counts.ts";

const rows = {
  stub_status: one({
    in: ["server", "location"],
    type: custom("", [0, 1], () => true),
    default: false,
    inherit: "none",
    isHandler: true,
    doc: "Answers with the numbers of connections and requests, in all workers together.",
  }),
} as const;

/** `Reading` and `Writing` count requests in the two halves of their life, `Waiting` idle connections. */
function statusText(counts: ConnectionCountsSnapshot): string {
  const { active, accepted, handled, requests, reading, writing } = counts;
  return (
    `Active connections: ${active} \n` +
    "server accepts handled requests\n" +
    ` ${accepted} ${handled} ${requests} \n` +
    `Reading: ${reading} Writing: ${writing} Waiting: ${waitingConnections(counts)} \n`
  );
}

async function answerLater(request: Request): Promise<void> {
  const { connections } = await readServerCounts();
  if (request.isFinished) return;
  const body = statusText(connections);
  request.resume({ kind: "answer", status: 200, body, contentType: "text/plain", headers: [] });
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
    variable(
      "connections_active",
      "Open connections of clients, of this worker.",
      () => connectionCounts.active,
    ),
    variable(
      "connections_reading",
      "Connections whose request head is being read, of this worker.",
      () => connectionCounts.reading,
    ),
    variable(
      "connections_writing",
      "Connections that are being answered, of this worker.",
      () => connectionCounts.writing,
    ),
    variable("connections_waiting", "Idle connections, of this worker.", () =>
      waitingConnections(connectionCounts),
    ),
  ],
  location(scope) {
    if (handlerOf(scope) !== rows.stub_status) return {};
    return {
      content(request) {
        if (request.method !== "GET" && request.method !== "HEAD") return { kind: "status", status: 405 };
        void answerLater(request);
        return PENDING;
      },
    };
  },
};
