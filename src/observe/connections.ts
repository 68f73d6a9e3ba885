/** What a process, or all of them, have counted: see {@link ConnectionCounts}. */
export interface ConnectionCountsSnapshot {
  readonly accepted: number;
  readonly handled: number;
  readonly requests: number;
  readonly active: number;
  readonly reading: number;
  readonly writing: number;
  readonly multiplexed: number;
}

/**
 * What this process's client connections are doing, as `stub_status` shows it. Plain numbers, because they change with
 * every request; whoever counts something up counts it down again.
 */
export class ConnectionCounts {
  /** Connections accepted since the start. */
  accepted = 0;
  /** Of these, the ones that were not turned away because worker_connections was reached. */
  handled = 0;
  /** Requests begun since the start. */
  requests = 0;
  /** Open client connections, idle ones and tunnels included. */
  active = 0;
  /** Connections on which a request head is being read. */
  reading = 0;
  /** Requests that are being answered, tunnels included. */
  writing = 0;
  /** Of these, the ones that share an HTTP/2 connection with another. */
  multiplexed = 0;
  /** Open upstream connections: they count against worker_connections, too. */
  upstream = 0;

  snapshot(): ConnectionCountsSnapshot {
    const { accepted, handled, requests, active, reading, writing, multiplexed } = this;
    return { accepted, handled, requests, active, reading, writing, multiplexed };
  }
}

/** Connections that wait for a request. */
export function waitingConnections(counts: ConnectionCountsSnapshot): number {
  return counts.active - counts.reading - (counts.writing - counts.multiplexed);
}

export const connectionCounts: ConnectionCounts = new ConnectionCounts();
