import { closed, FIN, type OperationEnd } from "./rows.ts";

const DOWN = "the proxy is going down";
const ANEW = "the proxy asks its clients to connect anew";
const DRAIN = "websocket_drain 600ms;";

/** What a drain looks like where both sides keep to the closing handshake. */
function drained(end: "drain" | "shutdown", reason: string): Omit<OperationEnd, "name" | "what" | "act"> {
  return {
    client: closed(1012, reason),
    upstream: closed(1012, reason),
    endedBy: "proxy",
    end,
    code: 1012,
    reason,
    log: null,
  };
}

const told: Omit<OperationEnd, "name" | "what" | "act"> = {
  client: closed(1001, DOWN),
  upstream: closed(1001, DOWN),
  endedBy: "proxy",
  end: "shutdown",
  code: 1001,
  reason: DOWN,
  log: null,
};

/** Nobody is left who could say anything. */
const speechless: Omit<OperationEnd, "name" | "what" | "act" | "log"> = {
  isKilled: true,
  client: { ...FIN, last: "FIN or RST" },
  upstream: FIN,
  endedBy: null,
  end: "",
  code: null,
  reason: "",
};

/** Ends by what is done to the proxy. */
export const operations: readonly OperationEnd[] = [
  {
    name: "quit",
    what: "QUIT (`-s quit`): the client is asked, and when it has answered, the upstream is",
    settings: DRAIN,
    act: (gate) => gate.signal("SIGQUIT"),
    ...drained("shutdown", DOWN),
  },
  {
    name: "quit-mute-client",
    what: "QUIT, and the client answers nothing: it is cut when the time is over",
    settings: DRAIN,
    mute: "client",
    act: (gate) => gate.signal("SIGQUIT"),
    ...drained("shutdown", DOWN),
    client: { ...closed(1012, DOWN), last: "FIN or RST" },
    upstream: closed(1001, DOWN),
    log: ["notice", "tunnel cut after … s: the client has not answered the Close frame"],
  },
  {
    name: "quit-mute-upstream",
    what: "QUIT, and the upstream answers nothing, but closes its connection when the proxy has done so",
    settings: DRAIN,
    mute: "upstream",
    act: (gate) => gate.signal("SIGQUIT"),
    ...drained("shutdown", DOWN),
  },
  {
    name: "quit-shutdown-timeout",
    what: "QUIT with `websocket_drain off`, and `worker_shutdown_timeout` is over",
    settings: "websocket_drain off;",
    main: "worker_shutdown_timeout 300ms;",
    act: (gate) => gate.signal("SIGQUIT"),
    ...told,
    log: ["notice", "worker_shutdown_timeout is over, exiting"],
  },
  {
    name: "drain",
    what: "USR2 (`-s drain`)",
    settings: DRAIN,
    act: (gate) => gate.signal("SIGUSR2"),
    ...drained("drain", ANEW),
  },
  {
    name: "reload-without-peer",
    what: "a reload takes the upstream server out of the configuration, with `websocket_removal drain` (by default the tunnel stays)",
    settings: `${DRAIN} websocket_removal drain;`,
    act: (gate) => gate.reloadWithout("peer"),
    ...drained("drain", ANEW),
    log: ["notice", "draining tunnels that the new configuration has no place for: 4"],
  },
  {
    name: "reload-without-servers",
    what: "a reload takes the `server` block and the listener away, with `websocket_removal drain`",
    settings: `${DRAIN} websocket_removal drain;`,
    act: (gate) => gate.reloadWithout("servers"),
    ...drained("drain", ANEW),
    log: ["notice", "draining tunnels that the new configuration has no place for: 4"],
  },
  {
    name: "term",
    what: "TERM (`-s stop`)",
    act: (gate) => gate.signal("SIGTERM"),
    ...told,
  },
  {
    name: "int",
    what: "INT",
    act: (gate) => gate.signal("SIGINT"),
    ...told,
  },
  {
    name: "worker-killed",
    what: "a worker is killed, or crashes: nobody is left who could say anything, and the counter is that of `proxy worker-crash`",
    workers: 2,
    act: ({ workers }) => workers.forEach((pid) => process.kill(pid, "SIGKILL")),
    ...speechless,
    log: ["alert", "worker process … exited on signal SIGKILL; another one takes its place"],
  },
  {
    name: "bug",
    what: "an exception that nothing catches, which is a bug: nobody knows what state the process is in, so it says nothing more to anybody",
    preload: "throw-on-signal.mjs",
    act: (gate) => gate.signal("SIGUSR2"),
    ...speechless,
    log: ["alert", "uncaught exception, please report it: Error: a bug that the rig has put in"],
  },
  {
    name: "main-killed-above-workers",
    what: "the main process is killed: its workers tell their tunnels, and end",
    workers: 2,
    isKilled: true,
    act: ({ pid }) => {
      process.kill(pid, "SIGKILL");
    },
    ...told,
  },
  {
    name: "single-process-killed",
    what: "the only process is killed",
    act: ({ pid }) => {
      process.kill(pid, "SIGKILL");
    },
    ...speechless,
    log: null,
  },
];
