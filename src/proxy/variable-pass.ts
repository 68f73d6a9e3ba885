import { isIP } from "node:net";
import { textFromByteString } from "../base/bytes.ts";
import type { Stateful } from "../compile/plan.ts";
import type { Request } from "../compile/request.ts";
import type { Template } from "../compile/template.ts";
import { DEFAULT_KEEPALIVE } from "../upstream/connection-pool.ts";
import { DEFAULT_SERVER } from "../upstream/peer.ts";
import { PeerGroup } from "../upstream/peer-group.ts";
import { roundRobin } from "../upstream/round-robin.ts";
import { peerAddresses, type UpstreamAddress } from "../upstream/upstream-address.ts";
import type { CachingResolver } from "../upstream/resolver.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { DEFAULT_PORTS, hostAndPort, parsePassUrl } from "./pass-url.ts";
import type { DestinationResult } from "./rules.ts";
import type { UpstreamReader } from "./upstream-reader.ts";

/** Groups made while running that are kept for the next request to the same place. */
const GROUPS_MAX = 1024;

/**
 * The groups that stand for hosts which only requests name. The same host with the same addresses is the same group, so
 * that connections are kept and failures counted; the one that was asked for longest ago makes way.
 */
export class RequestGroups implements Stateful {
  readonly key = "groups made by requests";
  readonly #groups = new Map<string, PeerGroup<UpstreamReader>>();

  groupOf(
    name: string,
    address: UpstreamAddress,
    literals: readonly string[],
    defaultPort: number,
  ): PeerGroup<UpstreamReader> {
    const key = `${name} ${literals.join(" ")}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = new PeerGroup<UpstreamReader>(name, false, roundRobin, DEFAULT_KEEPALIVE);
      group.setServers([
        {
          settings: { ...DEFAULT_SERVER, server: name },
          addresses: peerAddresses(address, literals, defaultPort),
        },
      ]);
    }
    this.#groups.delete(key);
    this.#groups.set(key, group);
    this.#makeRoom();
    return group;
  }

  /** Connections are worth little next to the certainty that a reload has taken effect: nothing is taken over. */
  adopt(): void {}

  retire(): void {
    for (const group of this.#groups.values()) group.retire();
    this.#groups.clear();
  }

  #makeRoom(): void {
    if (this.#groups.size <= GROUPS_MAX) return;
    for (const [key, group] of this.#groups) {
      group.retire();
      this.#groups.delete(key);
      return;
    }
  }
}

/** proxy_pass with variables: what each request makes of it. */
export class VariablePass {
  readonly #template: Template;
  readonly #upstreams: Upstreams<UpstreamReader>;
  readonly #groups: RequestGroups;
  readonly #resolver: CachingResolver | null;

  constructor(
    template: Template,
    upstreams: Upstreams<UpstreamReader>,
    groups: RequestGroups,
    resolver: CachingResolver | null,
  ) {
    this.#template = template;
    this.#upstreams = upstreams;
    this.#groups = groups;
    this.#resolver = resolver;
  }

  find(request: Request, found: (result: DestinationResult) => void): void {
    const bytes = this.#template.render(request);
    const result = parsePassUrl(bytes);
    if (!result.ok) {
      const text = textFromByteString(bytes);
      const message = result.reason === "prefix" ? `${result.message} in "${text}"` : result.message;
      return found({ ok: false, status: 500, message });
    }
    const { scheme, address, authority, uri } = result.url;
    const { host, port } = hostAndPort(result.url);
    const defaultPort = DEFAULT_PORTS[scheme];
    const target = uri === "" ? null : uri;
    const at = (group: PeerGroup<UpstreamReader>): DestinationResult => ({
      ok: true,
      destination: { scheme, group, host, port },
      target,
    });
    const known = this.#upstreams.find(address, defaultPort);
    if (known !== undefined) return found(at(known));
    if (address.kind === "unix" || isIP(address.host) !== 0) {
      const literals = address.kind === "unix" ? [] : [address.host];
      return found(at(this.#groups.groupOf(authority, address, literals, defaultPort)));
    }
    const resolver = this.#resolver;
    if (resolver === null) {
      return found({ ok: false, status: 502, message: `no resolver defined to resolve ${address.host}` });
    }
    resolver.resolve(address.host, (resolution) => {
      if (resolution.ok)
        found(at(this.#groups.groupOf(authority, address, resolution.addresses, defaultPort)));
      else found({ ok: false, status: 502, message: resolution.message });
    });
  }
}
