import type { SharedKey } from "../compile/check.ts";
import type { LocationPlan, Stateful } from "../compile/plan.ts";
import type { PeerGroup } from "../upstream/peer-group.ts";
import { TunnelRegister } from "../websocket/register.ts";
import type { ProxiedTunnel } from "./live-tunnel.ts";

/** Where a location passes requests: a group, or, null, what variables make of each. */
export type Pass = PeerGroup | null;

/** What tunnels and a plan have to do with each other. */
export class PlanTunnels implements Stateful {
  readonly key = "tunnels";
  /** Where the plan's locations register tunnels. The gate that runs the plan puts its own register here. */
  register: TunnelRegister<ProxiedTunnel> = new TunnelRegister();

  readonly #passes: { readonly location: () => LocationPlan; readonly pass: Pass }[] = [];

  /** The location, to be asked for when the plan is complete, has a proxy_pass. */
  notePass(location: () => LocationPlan, pass: Pass): void {
    this.#passes.push({ location, pass });
  }

  /** Where each location passes requests, for those that pass any. */
  passes(): ReadonlyMap<LocationPlan, Pass> {
    return new Map(this.#passes.map(({ location, pass }) => [location(), pass]));
  }

  adopt(): void {}

  retire(): void {}
}

/** The same for all locations of a configuration. */
export const PLAN_TUNNELS: SharedKey<PlanTunnels> = {
  description: "where tunnels are registered",
  make: () => new PlanTunnels(),
};
