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
  /** Connections whose request is being answered, tunnels included. */
  writing = 0;
  /** Open upstream connections: they count against worker_connections, too. */
  upstream = 0;

  /** Connections that wait for a request. */
  get waiting(): number {
    return this.active - this.reading - this.writing;
  }
}

export const connectionCounts: ConnectionCounts = new ConnectionCounts();
