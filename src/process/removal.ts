import type { ListenerPlan, LocationPlan, LocationTree, Plan, ServerPlan } from "../compile/plan.ts";
import type { ProxiedTunnel } from "../proxy/live-tunnel.ts";
import type { Pass } from "../proxy/plan-tunnels.ts";
import { selectServer } from "../route/servers.ts";
import { PeerGroup } from "../upstream/peer-group.ts";

/** What a tunnel came by or leads to, and a new plan has no more. */
export type Removed = "listener" | "server" | "pass" | "peer";

/**
 * What a new plan has taken away from tunnels that began with plans before it. Plans are not compared with each other: the
 * question is where each tunnel's request would go now.
 *
 *   listener  nobody listens on its address any more
 *   server    the server that would answer for its host has no name in common with the one that did
 *   pass      its location, or if there is none of that name any location, does not pass to its group of servers
 *   peer      the address is not in that group, or marked down
 */
export class RemovalCheck {
  readonly #plan: Plan;
  readonly #passes: ReadonlyMap<LocationPlan, Pass>;
  readonly #groups: ReadonlyMap<string, PeerGroup>;
  readonly #locations = new Map<ServerPlan, ReadonlyMap<string, LocationPlan>>();

  constructor(plan: Plan, passes: ReadonlyMap<LocationPlan, Pass>) {
    this.#plan = plan;
    this.#passes = passes;
    this.#groups = new Map(
      plan.stateful.flatMap((part) => (part instanceof PeerGroup ? [[part.key, part]] : [])),
    );
  }

  /** Null: the tunnel's request would still reach the same peer. */
  removedFrom(tunnel: ProxiedTunnel): Removed | null {
    const { request } = tunnel;
    const listener = this.#listenerOf(request.listener, request.connection.localAddress);
    if (listener === null) return "listener";
    const server = selectServer(listener, request.host);
    if (!isSameServer(request.server, server)) return "server";
    if (!this.#passesTo(tunnel, server)) return "pass";
    return this.#hasPeer(tunnel) ? null : "peer";
  }

  #listenerOf({ key }: ListenerPlan, localAddress: string): ListenerPlan | null {
    for (const listener of this.#plan.listeners) {
      if (listener.key === key) return listener.specific.get(localAddress) ?? listener;
      for (const specific of listener.specific.values()) if (specific.key === key) return specific;
    }
    return null;
  }

  #passesTo({ request, rules, group }: ProxiedTunnel, server: ServerPlan): boolean {
    // What variables make of a request is known to that request alone.
    if (rules.proxy_pass.kind === "variables") return true;
    const successor = this.#locationsOf(server).get(request.location.name);
    const pass = successor === undefined ? undefined : this.#passes.get(successor);
    if (pass === null) return true;
    const candidates = pass === undefined ? [...this.#passes.values()] : [pass];
    return candidates.some((candidate) => candidate?.key === group.key);
  }

  #hasPeer({ rules, group, peer }: ProxiedTunnel): boolean {
    const successor = this.#groups.get(group.key);
    // A host that a request has named stands in no configuration.
    if (successor === undefined) return rules.proxy_pass.kind === "variables" && !group.isExplicit;
    return successor.peers.some(({ name, settings }) => name === peer.name && !settings.down);
  }

  #locationsOf(server: ServerPlan): ReadonlyMap<string, LocationPlan> {
    let locations = this.#locations.get(server);
    if (locations === undefined) {
      const found = [...server.named.values(), ...allOf(server.locations)];
      locations = new Map(found.map((location) => [location.name, location]));
      this.#locations.set(server, locations);
    }
    return locations;
  }
}

/** Servers without a name are the same as each other. */
function isSameServer(before: ServerPlan, now: ServerPlan): boolean {
  if (before.names.length === 0 || now.names.length === 0) return before.names.length === now.names.length;
  return before.names.some((name) => now.names.includes(name));
}

function allOf({ exact, prefixes, regexes }: LocationTree): readonly LocationPlan[] {
  const own = [
    ...exact.values(),
    ...prefixes.map(({ location }) => location),
    ...regexes.map(({ location }) => location),
  ];
  return own.flatMap((location) => [location, ...allOf(location.locations)]);
}
