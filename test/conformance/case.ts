/** What a conformance case is. The numbers follow the public case list of the Autobahn test suite. */
import type { Frame } from "./frames.ts";

/**
 * Who has the last word on a case:
 *
 *   valid   Every message comes back, every ping is answered, and the closing handshake is the server's.
 *   server  The server judges: text that is no UTF-8, say, which the proxy does not look at.
 *   proxy   The stream breaks a rule that the proxy enforces, so the server never sees it. What has to come of it is
 *           RFC 6455's, and what the server itself would have said stands beside it.
 */
export type Verdict =
  | { readonly by: "valid" }
  | { readonly by: "server" }
  | { readonly by: "proxy"; readonly code: number; readonly section: string; readonly alone: Alone };

/** What a server does when it is alone with a broken stream: fails it with one of these codes, or lets it pass. */
export type Alone = readonly number[] | "passes";

export interface Case {
  /** As in Autobahn's list; with an `x` where its list has nothing of the kind. */
  readonly id: string;
  readonly says: string;
  /** Sent before the closing handshake, which follows once all has come back that is due, unless it is among them. */
  readonly frames: readonly Frame[];
  readonly verdict: Verdict;
}

export function valid(id: string, says: string, frames: readonly Frame[]): Case {
  return { id, says, frames, verdict: { by: "valid" } };
}

export function judgedByServer(id: string, says: string, frames: readonly Frame[]): Case {
  return { id, says, frames, verdict: { by: "server" } };
}

/** Broken by the rule of a section of RFC 6455; 1002 is what a protocol error is (section 7.4.1). */
export function broken(
  id: string,
  says: string,
  section: string,
  frames: readonly Frame[],
  alone: Alone = [1002],
): Case {
  return { id, says, frames, verdict: { by: "proxy", code: 1002, section, alone } };
}
