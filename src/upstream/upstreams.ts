import { isIP } from "node:net";
import type { Check } from "../compile/check.ts";
import { DEFAULT_KEEPALIVE } from "./connection-pool.ts";
import { lookUpAtLoad } from "./load-time-lookup.ts";
import { DEFAULT_SERVER, type ServerSettings } from "./peer.ts";
import { PeerGroup } from "./peer-group.ts";
import { roundRobin } from "./round-robin.ts";
import { peerAddresses, type UpstreamAddress } from "./upstream-address.ts";

/** A server line before its name has been resolved. */
export interface UnresolvedServer {
  readonly address: UpstreamAddress;
  readonly settings: ServerSettings;
  /** Reports that the name has no address. */
  readonly onNotFound: (host: string) => void;
}

/** All groups of peers of one configuration, by name: upstream blocks, and hosts that a proxy_pass names itself. */
export class Upstreams<User> {
  readonly #groups = new Map<string, PeerGroup<User>>();

  /** The upstream block of that name; names are compared without regard to case, as in nginx. */
  explicit(name: string): PeerGroup<User> | undefined {
    const group = this.#groups.get(name.toLowerCase());
    return group?.isExplicit === true ? group : undefined;
  }

  /** The group that an address names, if the configuration has one: an upstream block, or a host with its port. */
  find(address: UpstreamAddress, defaultPort: number): PeerGroup<User> | undefined {
    const block = address.kind === "inet" && address.port === null ? this.explicit(address.host) : undefined;
    return block ?? this.#groups.get(groupName(address, defaultPort).toLowerCase());
  }

  /** Registers an upstream block whose name is free. */
  define(
    group: PeerGroup<User>,
    servers: readonly UnresolvedServer[],
    defaultPort: number,
    check: Check,
  ): void {
    this.#groups.set(group.name.toLowerCase(), group);
    check.stateful(group);
    fill(group, servers, defaultPort, check);
  }

  /** The group of one that stands for a host in a proxy_pass: the same for the same host and port. */
  implicit(
    address: UpstreamAddress,
    defaultPort: number,
    check: Check,
    onNotFound: (host: string) => void,
  ): PeerGroup<User> {
    const name = groupName(address, defaultPort);
    const known = this.#groups.get(name.toLowerCase());
    if (known !== undefined) return known;
    const group = new PeerGroup<User>(name, false, roundRobin, DEFAULT_KEEPALIVE);
    this.define(
      group,
      [{ address, settings: { ...DEFAULT_SERVER, server: name }, onNotFound }],
      defaultPort,
      check,
    );
    return group;
  }
}

/** Makes the peers: at once where every server is a literal address, else when the names have been looked up. */
function fill<User>(
  group: PeerGroup<User>,
  servers: readonly UnresolvedServer[],
  defaultPort: number,
  check: Check,
): void {
  const resolve = (server: UnresolvedServer, literals: readonly string[]) => ({
    settings: server.settings,
    addresses: peerAddresses(server.address, literals, defaultPort),
  });
  if (servers.every(isLiteral)) {
    group.setServers(servers.map((server) => resolve(server, [hostOf(server)])));
    return;
  }
  check.later(async () => {
    const resolved = servers.map(async (server) => {
      const literals = isLiteral(server) ? [hostOf(server)] : await lookUpAtLoad(hostOf(server));
      if (literals.length === 0) server.onNotFound(hostOf(server));
      return resolve(server, literals);
    });
    group.setServers(await Promise.all(resolved));
  });
}

function isLiteral({ address }: UnresolvedServer): boolean {
  return address.kind === "unix" || isIP(address.host) !== 0;
}

function hostOf({ address }: UnresolvedServer): string {
  return address.kind === "unix" ? "" : address.host;
}

function groupName(address: UpstreamAddress, defaultPort: number): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port ?? defaultPort}`;
}
