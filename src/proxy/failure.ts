import { describeSystemError } from "../base/errno.ts";
import type { LogLevel } from "../observe/error-log.ts";
import type { PeerOutcome } from "../upstream/peer.ts";
import type { NextCondition } from "./rules.ts";

/** Whose fault a failure is: the peer's, that of this machine, or nobody's (another peer might answer differently). */
export type Blame = "upstream" | "proxy" | "nobody";

/** Whether another try may help. */
export type Retry = "never" | "next";

/** Why a try at a peer failed. */
export interface Failure {
  readonly blame: Blame;
  readonly retry: Retry;
  /** The word of proxy_next_upstream that lets the request go to another peer. */
  readonly condition: NextCondition;
  /** The answer to the client where no further try is made. */
  readonly status: number;
  /** In nginx's words; the log adds what was being done. Null for what the access log tells well enough. */
  readonly message: string | null;
  /** What was being done, where the request does not know it. */
  readonly activity: string | null;
  /** What the client is told, where that is more than the standard page of the status. */
  readonly body: string | null;
  readonly cause: Error | null;
}

export const TIMED_OUT: Failure = upstreamFailure(
  "timeout",
  "upstream timed out (110: Connection timed out)",
);
export const CLOSED_PREMATURELY: Failure = upstreamFailure("error", "upstream prematurely closed connection");
export const NO_LIVE_UPSTREAMS: Failure = {
  ...upstreamFailure("error", "no live upstreams"),
  retry: "never",
};

/** How loud the log says it: what is wrong with this machine is for somebody to mend, whatever the upstream. */
export function levelOf({ blame }: Failure): LogLevel {
  return blame === "proxy" ? "crit" : "error";
}

/** What it says about the peer: only its own failures count against it. */
export function outcomeOf({ blame }: Failure): PeerOutcome {
  return blame === "upstream" ? "failure" : "success";
}

/** A failure of the upstream's, which another peer may not have. */
export function upstreamFailure(
  condition: "error" | "timeout" | "invalid_header",
  message: string | null,
): Failure {
  return {
    blame: "upstream",
    retry: "next",
    condition,
    status: condition === "timeout" ? 504 : 502,
    message,
    activity: null,
    body: null,
    cause: null,
  };
}

/** A failure of a connection that stood, from the error that Node gives. */
export function connectionFailure(error: Error): Failure {
  const call = "syscall" in error && error.syscall === "write" ? "writev" : "recv";
  return { ...upstreamFailure("error", `${call}() failed (${describeSystemError(error)})`), cause: error };
}

/** What a peer that cannot be reached looks like; whatever else prevents a connection is about this machine. */
const UNREACHABLE: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOENT",
  "ETIMEDOUT",
]);

/** A failure to connect. What fails at once is told with the address, as nginx does it. */
export function connectFailure(error: Error, peerName: string): Failure {
  const reason = describeSystemError(error);
  const code = "code" in error ? error.code : undefined;
  const isImmediate = peerName.startsWith("unix:") || code === "ENETUNREACH" || code === "EADDRNOTAVAIL";
  const to = isImmediate ? ` to ${peerName}` : "";
  return {
    ...upstreamFailure("error", `connect()${to} failed (${reason})`),
    blame: UNREACHABLE.has(code) ? "upstream" : "proxy",
    cause: error,
  };
}

/** Answers that proxy_next_upstream can name. The client gets them as they are where no try is left. */
const STATUS_FAILURES: ReadonlyMap<number, Failure> = new Map(
  ([500, 502, 503, 504, 429, 403, 404] as const).map((status) => [
    status,
    {
      ...upstreamFailure("error", null),
      blame: status === 403 || status === 404 ? "nobody" : "upstream",
      condition: `http_${status}`,
      status,
    },
  ]),
);

/** What an answer with this status is where proxy_next_upstream names it; null where it never does. */
export function statusFailure(status: number): Failure | null {
  return STATUS_FAILURES.get(status) ?? null;
}
