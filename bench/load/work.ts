/** What the load generator can be asked for; `run.ts` and the generator's process speak in these terms. */

/** Where to connect. */
export interface Target {
  readonly port: number;
  readonly tls: boolean;
  /** The protocol that the client's Upgrade asks for. */
  readonly protocol: string;
}

export type Work =
  /** Every tunnel sends a message, waits for the whole echo, and sends again. */
  | { readonly kind: "echo"; readonly tunnels: number; readonly messageBytes: number }
  /** Every connection sends a GET, waits for the whole answer, and sends again. */
  | { readonly kind: "requests"; readonly connections: number; readonly bodyBytes: number }
  /** So many at a time: connect, upgrade, closing handshake, end. */
  | { readonly kind: "handshakes"; readonly atOnce: number }
  /** Tunnels that stay open and silent; where `watchMs` is not 0, what they cost in processor time for so long. */
  | { readonly kind: "idle"; readonly tunnels: number; readonly watchMs: number };

/** One round, from quiet to quiet: it begins with nothing in flight and ends when the last answer is in. */
export interface Sample {
  /** Round trips, requests or handshakes. */
  readonly units: number;
  readonly seconds: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** A piece of work whose connections are open. */
export interface Session {
  run(ms: number): Promise<Sample>;
  close(): Promise<void>;
}

export type Command =
  | { readonly do: "open"; readonly session: number; readonly target: Target; readonly work: Work }
  | { readonly do: "run"; readonly session: number; readonly ms: number }
  | { readonly do: "close"; readonly session: number };

export type Reply = { readonly sample?: Sample } | { readonly error: string };
