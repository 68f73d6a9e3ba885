import type { Module } from "../compile/module.ts";
import { block, one, settingsAt, withoutEffect } from "../compile/rows.ts";
import { flag, integer, MANY, plainHead, timeMs, words } from "../compile/values.ts";

const mainRows = {
  events: block({
    in: ["main"],
    type: plainHead(),
    opens: () => "events",
    repeats: false,
    doc: "Holds the directives about how connections are processed. Unlike in nginx it may be missing.",
  }),
} as const;

const rows = {
  worker_connections: one({
    in: ["events"],
    type: integer(1, MANY),
    default: 512,
    doc: "Connections that one worker may have open at the same time, those to upstreams counted.",
  }),
  accept_mutex: withoutEffect({
    in: ["events"],
    type: flag(),
    doc: "Workers do not compete for connections here.",
  }),
  accept_mutex_delay: withoutEffect({
    in: ["events"],
    type: timeMs(),
    doc: "Workers do not compete for connections here.",
  }),
  debug_connection: withoutEffect({
    in: ["events"],
    type: words("address | CIDR | unix:", 1, 1),
    repeats: true,
    doc: "For debugging nginx itself.",
  }),
  multi_accept: withoutEffect({
    in: ["events"],
    type: flag(),
    doc: "libuv decides how many connections are taken at once.",
  }),
  use: withoutEffect({
    in: ["events"],
    type: words("method", 1, 1),
    doc: "libuv chooses the best method of the system.",
  }),
  worker_aio_requests: withoutEffect({
    in: ["events"],
    type: integer(1, MANY),
    doc: "Files are read by Node's pool of threads.",
  }),
} as const;

/** The events block. */
export const eventsModule: Module = {
  name: "ngx_core_module (events)",
  directives: { ...mainRows, ...rows },
  main(scope) {
    const [events] = scope.blocks("events");
    return { worker_connections: events === undefined ? 512 : settingsAt(rows, events).worker_connections };
  },
};
