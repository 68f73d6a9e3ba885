import type { Check, SharedKey } from "../compile/check.ts";
import { Upstreams } from "../upstream/upstreams.ts";
import type { UpstreamReader } from "./upstream-reader.ts";
import { RequestGroups } from "./variable-pass.ts";

/** The groups of peers of a configuration, which the upstream module defines and the proxy module uses. */
export const UPSTREAMS: SharedKey<Upstreams<UpstreamReader>> = {
  description: "groups of upstream peers",
  make: () => new Upstreams(),
};

const REQUEST_GROUPS: SharedKey<{ groups: RequestGroups | null }> = {
  description: "groups that requests make",
  make: () => ({ groups: null }),
};

/** Those that stand for hosts which only requests name: made when a configuration has need of them. */
export function requestGroupsOf(check: Check): RequestGroups {
  const holder = check.share(REQUEST_GROUPS);
  if (holder.groups === null) check.stateful((holder.groups = new RequestGroups()));
  return holder.groups;
}
