/** What a configuration asks of the system and cannot have, as diagnostics. */
import cluster from "node:cluster";
import { readFileSync } from "node:fs";
import { describeSystemError } from "../base/errno.ts";
import type { ListenerPlan } from "../compile/plan.ts";
import { createDiagnostic, type Diagnostic } from "../config/diagnostic.ts";
import type { BindError } from "../listen/bind-error.ts";
import { portOwner } from "./port-owner.ts";

/** A file that could not be opened, in nginx's words. */
export function openFault(path: string, error: unknown): Diagnostic {
  return systemFault("open", `open() "${path}" failed`, error);
}

/** A failed call of the system: `chdir() "/x" failed (2: No such file or directory)`. `what` ends before the reason. */
export function systemFault(call: string, what: string, error: unknown): Diagnostic {
  return fault(`${call}-failed`, `${what} (${describeSystemError(error)})`);
}

/** Anything else that keeps a plan from being run. */
export function fault(code: string, message: string): Diagnostic {
  return createDiagnostic({ code, message, span: null });
}

/** An address that could not be bound: nginx's words, the line that asks for it, and what to do. */
export function bindFault({ span }: ListenerPlan, error: BindError): Diagnostic {
  return createDiagnostic({
    code: "bind-failed",
    message: error.message,
    span: null,
    notes: span === null ? [] : [{ message: "what asks for it", span }],
    suggestion: bindHelp(error),
  });
}

function bindHelp({ code, address }: BindError): string | null {
  switch (code) {
    case "EADDRINUSE":
      if (address.kind === "unix") return "end the program that listens there, or listen on another path";
      return takenHelp(address.port);
    case "EACCES":
      if (address.kind === "unix") return "let the user that wsgate runs as write to the folder";
      return `start as root, or listen on a port from ${unprivilegedPort()} on`;
    case "EADDRNOTAVAIL":
      return "listen on an address that this machine has, or on all of them with the port alone";
    default:
      return null;
  }
}

function takenHelp(port: number): string {
  const owner = portOwner(port);
  if (owner === undefined) return `end the program that listens on port ${port}, or listen on another port`;
  // Of workers, the main process holds the sockets.
  if (owner.pid === (cluster.isWorker ? process.ppid : process.pid)) {
    return `restart wsgate: it listens on port ${port} itself, at an address that overlaps with this one`;
  }
  return `end ${owner.command} (pid ${owner.pid}), which listens on port ${port}, or listen on another port`;
}

/** The first port for which nobody needs privileges. */
function unprivilegedPort(): number {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  } catch {
    return 1024;
  }
}
