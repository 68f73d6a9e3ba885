import { connectionCounts, type ConnectionCountsSnapshot } from "./connections.ts";
import { addCounts, endOpenTunnels, tunnelCounts, type TunnelCountsSnapshot } from "./tunnel-counts.ts";

/** Everything that a process, or all of them, have counted. */
export interface ServerCounts {
  readonly tunnels: TunnelCountsSnapshot;
  readonly connections: ConnectionCountsSnapshot;
}

/** What this process has counted. */
export function ownCounts(): ServerCounts {
  return { tunnels: tunnelCounts.snapshot(), connections: connectionCounts.snapshot() };
}

export function addServerCounts(a: ServerCounts, b: ServerCounts): ServerCounts {
  const { connections: left } = a;
  const { connections: right } = b;
  return {
    tunnels: addCounts(a.tunnels, b.tunnels),
    connections: {
      accepted: left.accepted + right.accepted,
      handled: left.handled + right.handled,
      requests: left.requests + right.requests,
      active: left.active + right.active,
      reading: left.reading + right.reading,
      writing: left.writing + right.writing,
      multiplexed: left.multiplexed + right.multiplexed,
    },
  };
}

/** The process is gone, and with it all that was open. `why`: what its tunnels count as having been ended for. */
export function countsOfGone({ tunnels, connections }: ServerCounts, why: string): ServerCounts {
  return {
    tunnels: endOpenTunnels(tunnels, why),
    connections: { ...connections, active: 0, reading: 0, writing: 0, multiplexed: 0 },
  };
}

let readAll = (): Promise<ServerCounts> => Promise.resolve(ownCounts());

/** The counts of the whole server, of which this process may be a part. */
export function readServerCounts(): Promise<ServerCounts> {
  return readAll();
}

/** Where there are several processes, one of them has to ask the others. */
export function setServerCountsReader(read: () => Promise<ServerCounts>): void {
  readAll = read;
}
