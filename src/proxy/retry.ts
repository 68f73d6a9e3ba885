import type { ByteString } from "../base/bytes.ts";
import type { NextCondition, ProxyRules } from "./rules.ts";

/** Methods that must not be sent twice, as nginx counts them. */
const NON_IDEMPOTENT: ReadonlySet<ByteString> = new Set(["POST", "LOCK", "PATCH"]);

export function isNonIdempotent(method: ByteString): boolean {
  return NON_IDEMPOTENT.has(method);
}

/** Whether proxy_next_upstream and its timeout let a request go to another peer. */
export function mayRetry(
  rules: ProxyRules,
  condition: NextCondition,
  state: {
    /** Another try would send again what must not be sent twice. */
    readonly isRepetition: boolean;
    readonly elapsedMs: number;
  },
): boolean {
  const { proxy_next_upstream, proxy_next_upstream_timeout: timeoutMs, retriesNonIdempotent } = rules;
  return (
    proxy_next_upstream.has(condition) &&
    (!state.isRepetition || retriesNonIdempotent) &&
    (timeoutMs === 0 || state.elapsedMs < timeoutMs)
  );
}
