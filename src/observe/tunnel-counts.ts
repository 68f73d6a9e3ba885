/** Plain numbers by name: what is counted under several labels has them in its name, parted by spaces. */
export type Counts = Readonly<Record<string, number>>;

/** What a process, or all of them, have counted since their start. */
export interface TunnelCountsSnapshot {
  readonly opened: number;
  /** By `who why`: `client close`, `proxy ping-timeout`. */
  readonly ended: Counts;
  /** Opening handshakes by `who rule`: at whose fault they were refused, and by which rule. */
  readonly refused: Counts;
  /** By the side that sent. */
  readonly messages: Counts;
  readonly bytes: Counts;
  /** By the side that was pinged. */
  readonly pings: Counts;
  /** Close frames that wsgate itself has sent, by `side code`. */
  readonly closes: Counts;
}

/** What one side of the tunnels does. Fields of an object, since they change with every frame. */
export class SideCounts {
  /** Bytes and whole messages that it sent. */
  bytes = 0;
  messages = 0;
  /** Pings that it got from wsgate. */
  pings = 0;
}

/** What this process's tunnels have done since its start; everything only grows. */
export class TunnelCounts {
  opened = 0;
  readonly client: SideCounts = new SideCounts();
  readonly upstream: SideCounts = new SideCounts();
  readonly #ended = new Map<string, number>();
  readonly #refused = new Map<string, number>();
  readonly #closes = new Map<string, number>();

  end(by: "client" | "upstream" | "proxy", reason: string): void {
    increase(this.#ended, `${by} ${reason}`);
  }

  /** An opening handshake came to nothing, or the upstream's answer to it; proxy: nothing was wrong with either. */
  refuse(fault: "client" | "upstream" | "proxy", rule: string): void {
    increase(this.#refused, `${fault} ${rule}`);
  }

  closeSent(to: "client" | "upstream", code: number): void {
    increase(this.#closes, `${to} ${code}`);
  }

  snapshot(): TunnelCountsSnapshot {
    const bySide = (read: (side: SideCounts) => number): Counts => ({
      client: read(this.client),
      upstream: read(this.upstream),
    });
    return {
      opened: this.opened,
      ended: Object.fromEntries(this.#ended),
      refused: Object.fromEntries(this.#refused),
      messages: bySide((side) => side.messages),
      bytes: bySide((side) => side.bytes),
      pings: bySide((side) => side.pings),
      closes: Object.fromEntries(this.#closes),
    };
  }
}

export const tunnelCounts: TunnelCounts = new TunnelCounts();

export function openTunnels({ opened, ended }: TunnelCountsSnapshot): number {
  return Object.values(ended).reduce((left, count) => left - count, opened);
}

export function addCounts(a: TunnelCountsSnapshot, b: TunnelCountsSnapshot): TunnelCountsSnapshot {
  return {
    opened: a.opened + b.opened,
    ended: add(a.ended, b.ended),
    refused: add(a.refused, b.refused),
    messages: add(a.messages, b.messages),
    bytes: add(a.bytes, b.bytes),
    pings: add(a.pings, b.pings),
    closes: add(a.closes, b.closes),
  };
}

/** The process is gone, and its open tunnels with it: they count as ended by the proxy. */
export function endOpenTunnels(counts: TunnelCountsSnapshot, reason: string): TunnelCountsSnapshot {
  const open = openTunnels(counts);
  return open === 0 ? counts : { ...counts, ended: add(counts.ended, { [`proxy ${reason}`]: open }) };
}

function increase(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function add(a: Counts, b: Counts): Counts {
  const sum: Record<string, number> = { ...a };
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
