import { type Outcome, PENDING } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import { Exchange } from "./exchange.ts";
import type { ProxyRules } from "./rules.ts";
import { decideUpgrade } from "./upgrade.ts";

/** Sends a request to an upstream and its answer to the client, as the rules of its location say. */
export function proxyRequest(request: Request, rules: ProxyRules): Outcome {
  const decision = decideUpgrade(request, rules);
  if (decision?.kind === "refuse") return decision.outcome;
  new Exchange(request, rules, decision?.offer ?? null).start();
  return PENDING;
}
