import { describeSystemError } from "../base/errno.ts";
import type { LogLevel } from "../observe/error-log.ts";
import type { PeerOutcome } from "../upstream/peer.ts";
import type { NextCondition } from "./rules.ts";

/** Who caused a failure. */
export type Blame = "client" | "upstream" | "proxy";

/** Whether another try may help. */
export type Retry = "never" | "next";

/** Why a try at a peer failed. */
export interface Failure {
  readonly blame: Blame;
  readonly retry: Retry;
  /** The word of proxy_next_upstream that lets the request go to another peer. */
  readonly condition: NextCondition;
  /** What it says about the peer. */
  readonly peerOutcome: PeerOutcome;
  /** The answer to the client where no further try is made. */
  readonly status: number;
  readonly level: LogLevel;
  /** In nginx's words; the log adds what was being done. */
  readonly message: string;
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

/** A failure of a connection that stood, from the error that Node gives. */
export function connectionFailure(error: Error): Failure {
  const call = "syscall" in error && error.syscall === "write" ? "writev" : "recv";
  return { ...upstreamFailure("error", `${call}() failed (${describeSystemError(error)})`), cause: error };
}

/** A failure to connect. What fails at once is told with the address, as nginx does it. */
export function connectFailure(error: Error, peerName: string): Failure {
  const reason = describeSystemError(error);
  const code = "code" in error ? error.code : undefined;
  const isImmediate = peerName.startsWith("unix:") || code === "ENETUNREACH" || code === "EADDRNOTAVAIL";
  const message = isImmediate
    ? `connect() to ${peerName} failed (${reason})`
    : `connect() failed (${reason})`;
  const isExpected = code === undefined || EXPECTED_CONNECT_ERRORS.has(code);
  return { ...upstreamFailure("error", message), level: isExpected ? "error" : "crit", cause: error };
}

/** What an upstream that is down looks like; anything else is about this machine. */
const EXPECTED_CONNECT_ERRORS: ReadonlySet<unknown> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENETDOWN",
  "ENETUNREACH",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ETIMEDOUT",
]);

/** A failure of the upstream's, which another peer may not have. */
export function upstreamFailure(condition: "error" | "timeout" | "invalid_header", message: string): Failure {
  return {
    blame: "upstream",
    retry: "next",
    condition,
    peerOutcome: "failure",
    status: condition === "timeout" ? 504 : 502,
    level: "error",
    message,
    activity: null,
    body: null,
    cause: null,
  };
}

/** Answers that proxy_next_upstream can count as failures. The client gets them as they are where no try is left. */
const STATUS_FAILURES: ReadonlyMap<number, Failure> = new Map(
  ([500, 502, 503, 504, 403, 404, 429] as const).map((status) => [
    status,
    {
      ...upstreamFailure("error", `upstream sent ${status}`),
      condition: `http_${status}`,
      // 403 and 404 are answers that another peer might give differently, not failures of the peer.
      peerOutcome: status === 403 || status === 404 ? "success" : "failure",
      status,
      level: "info",
    },
  ]),
);

/** What an answer with this status is where proxy_next_upstream names it; null where it never does. */
export function statusFailure(status: number): Failure | null {
  return STATUS_FAILURES.get(status) ?? null;
}
