import { type Outcome, PENDING } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import { isToken } from "../http/tokens.ts";
import { Exchange } from "./exchange.ts";
import type { ProxyRules } from "./rules.ts";
import { decideUpgrade } from "./upgrade.ts";

/** Sends a request to an upstream and its answer to the client, as the rules of its location say. */
export function proxyRequest(request: Request, rules: ProxyRules): Outcome {
  const decision = decideUpgrade(request, rules);
  if (decision?.kind === "refuse") return decision.outcome;
  if (rules.proxy_method !== null && !isToken(rules.proxy_method.render(request))) {
    // Variables may hold line ends, and with them a request of the client's own making.
    request.log("error", 'the value of "proxy_method" is not a method');
    return { kind: "status", status: 500 };
  }
  new Exchange(request, rules, decision?.offer ?? null).start();
  return PENDING;
}
