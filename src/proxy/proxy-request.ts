import { type Outcome, PENDING } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import { isToken } from "../http/tokens.ts";
import { tunnelCounts } from "../observe/tunnel-counts.ts";
import { Exchange } from "./exchange.ts";
import type { ProxyRules } from "./rules.ts";
import { decideUpgrade } from "./upgrade.ts";

/** Sends a request to an upstream and its answer to the client, as the rules of its location say. */
export function proxyRequest(request: Request, rules: ProxyRules): Outcome {
  const decision = decideUpgrade(request, rules);
  if (decision?.kind === "refuse") return decision.outcome;
  if (decision !== null && rules.tunnels.register.isRefusing) return turnedAway(rules);
  if (rules.proxy_method !== null && !isToken(rules.proxy_method.render(request))) {
    // Variables may hold line ends, and with them a request of the client's own making.
    request.log("error", 'the value of "proxy_method" is not a method');
    return { kind: "status", status: 500 };
  }
  new Exchange(request, rules, decision?.offer ?? null).start();
  return PENDING;
}

/** Where tunnels are left to end by themselves, nobody knows when the gate is itself again. */
const RETRY_AFTER_MS = 30_000;

/** The gate is being drained of tunnels: a balancer tries another one, a client comes back later. */
function turnedAway({ websocket_drain }: ProxyRules): Outcome {
  tunnelCounts.refuse("proxy", "drain");
  const seconds = Math.max(1, Math.ceil((websocket_drain?.timeMs ?? RETRY_AFTER_MS) / 1000));
  return {
    kind: "answer",
    status: 503,
    body: "no new tunnels: this gate is being drained\n",
    contentType: "text/plain",
    headers: [["Retry-After", String(seconds)]],
  };
}
