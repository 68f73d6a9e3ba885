import { ADDRCONFIG } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/**
 * The addresses of a host by the system's resolver, as nginx asks it when a configuration is loaded: of both families,
 * IPv4 first. Empty for a name that has none. A literal is its own address.
 */
export async function lookUpAtLoad(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    const found = await lookup(host, { all: true, hints: ADDRCONFIG });
    const sorted = found.sort((a, b) => a.family - b.family);
    return [...new Set(sorted.map(({ address }) => address))];
  } catch {
    // Whether the name does not exist or nobody could be asked: nginx says `host not found` to either.
    return [];
  }
}
