/** Requests that differ from the handshake in one thing each, so that their answers tell one cause from another. */
import { randomBytes } from "node:crypto";
import { type Exchange, exchange } from "./exchange.ts";
import { type HandshakeOptions, requestText, type Variant } from "./handshake.ts";
import type { Target } from "./url.ts";
import type { Route } from "./wire.ts";

export type ControlName =
  /** The same GET without any sign of an upgrade. */
  | "plain"
  /** The handshake in HTTP/1.0, in which nobody upgrades. */
  | "http-1.0"
  /** A version of WebSocket that nobody speaks: who knows WebSockets answers 426 or 400. */
  | "bad-version"
  | "without-origin"
  /** `Connection: keep-alive, Upgrade`, as Firefox writes it. */
  | "firefox"
  /** The path with its trailing slash taken away or added. */
  | "other-slash"
  /** The same GET without any sign of an upgrade, at a path that surely nobody has. */
  | "unknown-path"
  /** The handshake behind a PROXY header, for a port that says nothing without one. */
  | "proxy-header"
  /** The handshake without TLS on the same port, and the other way round. */
  | "other-scheme"
  /** The handshake one folder up, and so on to the root. */
  | `parent ${string}`;

export interface Control {
  readonly name: ControlName;
  readonly exchange: Exchange;
}

const PARENTS_MAX = 4;

/** What is sent whether or not the handshake succeeds. */
export function alwaysVariants(options: HandshakeOptions): ReadonlyMap<ControlName, Variant> {
  const variants = new Map<ControlName, Variant>([["firefox", { connection: "keep-alive, Upgrade" }]]);
  if (options.origin !== null) variants.set("without-origin", { origin: null });
  return variants;
}

/** What is sent only when the handshake has failed. */
export function failureVariants(target: Target): ReadonlyMap<ControlName, Variant> {
  const variants = new Map<ControlName, Variant>([
    ["plain", { upgrade: null }],
    ["http-1.0", { httpVersion: "1.0" }],
    ["bad-version", { webSocketVersion: "99" }],
  ]);
  const { path, query } = splitPath(target.path);
  // Behind the path, so that a rule for all that begins with it takes this one, too.
  variants.set("unknown-path", { upgrade: null, path: `${path}-${randomBytes(4).toString("hex")}${query}` });
  if (path !== "/") {
    const other = path.endsWith("/") ? path.slice(0, -1) : `${path}/`;
    variants.set("other-slash", { path: other + query });
  }
  for (const parent of parentsOf(path)) variants.set(`parent ${parent}`, { path: parent + query });
  return variants;
}

function splitPath(path: string): { readonly path: string; readonly query: string } {
  const at = path.indexOf("?");
  return at < 0 ? { path, query: "" } : { path: path.slice(0, at), query: path.slice(at) };
}

/** `/a/b/c` has `/a/b`, `/a` and `/`. */
function parentsOf(path: string): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return parts
    .map((_, index) => `/${parts.slice(0, parts.length - 1 - index).join("/")}`)
    .slice(0, PARENTS_MAX);
}

export function sendControls(
  route: Route,
  target: Target,
  options: HandshakeOptions,
  variants: ReadonlyMap<ControlName, Variant>,
  timeoutMs: number,
): Promise<readonly Control[]> {
  return Promise.all(
    [...variants].map(async ([name, variant]): Promise<Control> => {
      const request = requestText(target, options, variant);
      return { name, exchange: await exchange(route, request, timeoutMs) };
    }),
  );
}
