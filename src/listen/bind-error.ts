import { describeSystemError } from "../base/errno.ts";
import { addressKey } from "../compile/listeners.ts";
import type { ListenAddress } from "../compile/plan.ts";

/** Why an address could not be bound, in nginx's words: `bind() to 0.0.0.0:80 failed (98: Address already in use)`. */
export interface BindError {
  readonly message: string;
  /** The system's name, such as EADDRINUSE or EACCES; empty where it gave none. */
  readonly code: string;
  readonly address: ListenAddress;
}

export function bindError(address: ListenAddress, error: unknown): BindError {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  return {
    message: `bind() to ${addressKey(address)} failed (${describeSystemError(error)})`,
    code,
    address,
  };
}
