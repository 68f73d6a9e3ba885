/** What the rows of the table of ends are made of. */
import type { Ending, WebSocketPeer } from "../rig/websocket-peer.ts";
import type { FrontName } from "../rig/fronts.ts";
import type { RawPeer } from "../rig/raw-peer.ts";

export type Side = "client" | "upstream";

/** An open tunnel, and those at both of its ends. */
export interface Stage {
  readonly client: WebSocketPeer;
  readonly upstream: WebSocketPeer<RawPeer>;
}

/** What a side sees of the end. `cut`: the connection ends inside a frame. */
export interface Seen {
  readonly close: readonly [code: number, reason: string] | null;
  /** The connection of a side that is given up is closed at once: RST where something is under way, and over HTTP/2. */
  readonly last: Ending["last"] | "FIN or RST";
  readonly isCut?: true;
}

/** A way in which a tunnel ends, as the page has it. */
export interface EndRow {
  /** Unique; also the name of its location. */
  readonly name: string;
  /** What happens, for the reader of the table. */
  readonly what: string;
  /** Directives of the location. */
  readonly settings?: string;
  /** The only fronts over which it can happen. */
  readonly fronts?: readonly FrontName[];
  /** The side that has vanished: it sees nothing that counts. */
  readonly gone?: Side;
  /** What each side gets that lives. */
  readonly client: Seen | null;
  readonly upstream: Seen | null;
  /**
   * What the access log says; null where it has no line. `$status` is the front's. The counter that rises has the same
   * two words. A code is null where no Close frame was seen or sent.
   */
  readonly endedBy: Side | "proxy" | null;
  readonly end: string;
  readonly code: number | null;
  readonly reason: string;
  /** The line in the error log, without its context; null: none at level info or above. */
  readonly log: readonly [level: "info" | "notice" | "error" | "alert", message: string] | null;
}

/** An end that comes by what happens in the tunnel. */
export interface End extends EndRow {
  readonly isUpstreamTls?: true;
  /** Headers of the client's handshake. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Does it. */
  readonly act: (stage: Stage) => Promise<void> | void;
}

/** A gate in operation, with a tunnel open over each front. */
export interface OperatedGate {
  readonly pid: number;
  /** Of its workers, if it has any. */
  readonly workers: readonly number[];
  signal(name: NodeJS.Signals): void;
  /** Reloads with another upstream server, or without the servers that tunnels came by. */
  reloadWithout(what: "peer" | "servers"): Promise<void>;
}

/** An end that comes by what is done to the proxy. */
export interface OperationEnd extends EndRow {
  /** Directives of the main level. */
  readonly main?: string;
  readonly workers?: number;
  /** Sides that neither answer nor close. */
  readonly mute?: Side;
  /** The process does not end as it should. */
  readonly isKilled?: true;
  /** Modules of test/rig/peers that are loaded into the gate. */
  readonly preload?: string;
  readonly act: (gate: OperatedGate) => Promise<void> | void;
}

/** An opening handshake of which no tunnel comes. */
export interface OpeningEnd {
  /** Unique; also the name of its location. */
  readonly name: string;
  readonly what: string;
  /** The location's directives. */
  readonly settings: string;
  /** Headers of the client's handshake. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What the client is answered. */
  readonly status: number;
  /** The labels of the counter that rises. */
  readonly fault: Side | "proxy";
  readonly rule: string;
  /** The beginning of the line in the error log, without its context; null: none at level info or above. */
  readonly log: readonly [level: "error", message: string] | null;
}

/** A chapter of the page. */
export interface EndGroup {
  readonly title: string;
  readonly intro: string;
  readonly ends: readonly EndRow[];
}

export const FIN: Seen = { close: null, last: "FIN" };

/** The connection ends inside a frame, where nobody can say anything. */
export const CUT: Seen = { close: null, last: "FIN", isCut: true };

/** A Close frame, then FIN. */
export function closed(code: number, reason: string): Seen {
  return { close: [code, reason], last: "FIN" };
}

/** What a row that can happen on either side says, the sides named. */
export function onEitherSide(makeEnd: (by: Side, other: Side) => End): readonly End[] {
  return [makeEnd("client", "upstream"), makeEnd("upstream", "client")];
}

/** What the two sides see, when one of them is `by`. */
export function seenBy(by: Side, itself: Seen | null, other: Seen | null): Pick<End, "client" | "upstream"> {
  return by === "client" ? { client: itself, upstream: other } : { client: other, upstream: itself };
}

/** The code of an upstream's failure for its client, and of anything for the upstream. */
export function lossCode(by: Side): number {
  return by === "upstream" ? 1014 : 1001;
}

/** The upstream's failures are the operator's business, a client's are its own. */
export function levelFor(by: Side): "info" | "error" {
  return by === "client" ? "info" : "error";
}
