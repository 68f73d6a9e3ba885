/** Whether a location is one that WebSockets come to, and what says so. Rules speak of a location only on evidence. */
import type { Configuration, Location } from "./configuration.ts";
import { evaluate, HANDSHAKES, hasUpgradeToken } from "./evaluate.ts";
import type { Level } from "./levels.ts";
import type { Proxy } from "./proxy.ts";

export interface Evidence {
  /**
   * `certain`: it sets headers that nothing else is set for. `likely`: it is called what only WebSockets are called.
   * `possible`: its name is one that many applications give to theirs.
   */
  readonly strength: "certain" | "likely" | "possible";
  /** In words that follow "the location": `sets Upgrade`. */
  readonly because: string;
}

const BOUNDARY = String.raw`[/_.\-^(|\\@]`;
const named = (words: string): RegExp =>
  new RegExp(`(?:^|${BOUNDARY})(?:${words})(?:$|[/_.\\-)|\\\\?$])`, "i");

/** Paths that only WebSockets, and libraries on top of them, have. */
const LIKELY: RegExp = named(
  String.raw`wss?|web-?sockets?|sockets?|socket\\?\.io|engine\\?\.io|sock-?js|signalr|cable|action-?cable|graphql-ws|stomp|mqtt|sockjs-node`,
);
/** Paths that may just as well be pages. */
const POSSIBLE: RegExp = named(
  "chats?|hubs?|live|realtime|subscriptions|push|notifications|terminal|vnc|novnc",
);

export function weighEvidence(
  { path }: Pick<Location, "path">,
  level: Level,
  proxy: Proxy,
  configuration: Pick<Configuration, "maps" | "sets">,
): Evidence | null {
  const upgrade = proxy.headers.get("upgrade");
  if (upgrade !== undefined && upgrade.value !== "") return { strength: "certain", because: "sets Upgrade" };
  const connection = proxy.headers.get("connection");
  if (connection !== undefined) {
    const values = HANDSHAKES.map((request) => evaluate(connection.value, request, configuration));
    if (values.some((value) => value !== undefined && hasUpgradeToken(value)))
      return { strength: "certain", because: 'sends "Connection: upgrade"' };
  }
  if (level.directives.some(({ name }) => name.text.startsWith("websocket_")))
    return { strength: "certain", because: "has websocket_ directives" };
  if (LIKELY.test(path)) return { strength: "likely", because: `is called ${path}` };
  if (POSSIBLE.test(path)) return { strength: "possible", because: `is called ${path}` };
  return null;
}

/** Whether rules may take the location for one of WebSockets. */
export function isWebSocket(
  location: Location,
): location is Location & { readonly proxy: Proxy; readonly evidence: Evidence } {
  return location.proxy !== null && location.evidence !== null && location.evidence.strength !== "possible";
}

/** Whether the path itself says that nothing but WebSockets comes here. */
export function isNamedForWebSockets({ path }: Pick<Location, "path">): boolean {
  return LIKELY.test(path) || POSSIBLE.test(path);
}
