/** Whether each address takes a connection. */
import { isIP } from "node:net";
import { connect } from "./wire.ts";

export type TcpOutcome =
  | "open"
  | "refused"
  /** Nothing came back at all: a packet filter, a full backlog, or nobody at that address. */
  | "timeout"
  | "unreachable"
  | "reset"
  | "error";

export interface TcpAttempt {
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
  readonly outcome: TcpOutcome;
  /** The system's name for the error; empty for an open port. */
  readonly code: string;
  readonly ms: number;
}

export interface TcpStep {
  readonly attempts: readonly TcpAttempt[];
}

const OUTCOMES: Readonly<Record<string, TcpOutcome>> = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "timeout",
  ENETUNREACH: "unreachable",
  EHOSTUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EAFNOSUPPORT: "unreachable",
  ECONNRESET: "reset",
};

/** Connects to every address at once. */
export async function tryAddresses(
  addresses: readonly string[],
  port: number,
  timeoutMs: number,
): Promise<TcpStep> {
  return { attempts: await Promise.all(addresses.map((address) => tryAddress(address, port, timeoutMs))) };
}

async function tryAddress(address: string, port: number, timeoutMs: number): Promise<TcpAttempt> {
  const connected = await connect({ address, port, tls: null }, timeoutMs);
  if (connected.ok) connected.wire.destroy();
  const code = connected.ok ? "" : connected.code;
  return {
    address,
    family: isIP(address) === 6 ? 6 : 4,
    port,
    outcome: connected.ok ? "open" : (OUTCOMES[code] ?? "error"),
    code,
    ms: connected.ms,
  };
}
