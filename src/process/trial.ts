/** What `-t` asks of the system beyond the text: whether logs, pid file and addresses could be had. */
import { closeSync, existsSync, lstatSync, openSync, rmdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, isAbsolute } from "node:path";
import type { ListenerPlan, Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { type BindError, bindError } from "../listen/bind-error.ts";
import { bindFault, openFault } from "./faults.ts";
import { makeDefaultFolder } from "./pid-file.ts";

/**
 * Tries what a start of the plan would do, takes it back, and returns what would have failed. An address in use is no
 * fault, as in nginx: most likely it is the running wsgate's own.
 */
export async function tryPlan(plan: Plan): Promise<readonly Diagnostic[]> {
  const faults: Diagnostic[] = [];
  for (const log of plan.logFiles) {
    faults.push(
      ...tryFile(log.path, () => {
        log.open();
        log.close();
      }),
    );
  }
  faults.push(
    ...tryFile(plan.main.pid, () => {
      makeDefaultFolder(plan.main.pid);
      closeSync(openSync(plan.main.pid, "a"));
    }),
  );
  for (const listener of plan.listeners) {
    const error = await tryAddress(listener);
    if (error !== null) faults.push(bindFault(listener, error));
  }
  return faults;
}

/** Runs what makes the file, and removes whatever was not there before. */
function tryFile(path: string, make: () => void): readonly Diagnostic[] {
  const isNew = (each: string): boolean => isAbsolute(each) && !existsSync(each);
  const hasNewFolder = isNew(dirname(path));
  const hasNewFile = isNew(path);
  try {
    make();
    return [];
  } catch (error) {
    return [openFault(path, error)];
  } finally {
    if (hasNewFile) rmSync(path, { force: true });
    if (hasNewFolder && existsSync(dirname(path))) rmdirSync(dirname(path));
  }
}

/** Binds the address for a moment. */
async function tryAddress({ address, ipv6only }: ListenerPlan): Promise<BindError | null> {
  // What a socket of an earlier run has left behind is replaced at the start; anything else is in the way.
  if (address.kind === "unix" && lstatSync(address.path, { throwIfNoEntry: false })?.isSocket() === true)
    return null;
  const options =
    address.kind === "unix"
      ? { path: address.path }
      : { host: address.host, port: address.port, ipv6Only: ipv6only };
  const server = createServer();
  const error = await new Promise<Error | null>((resolve) => {
    server.once("error", resolve);
    server.listen({ ...options, exclusive: true }, () => resolve(null));
  });
  if (error === null) {
    await new Promise((resolve) => server.close(resolve));
    return null;
  }
  const refusal = bindError(address, error);
  return refusal.code === "EADDRINUSE" && address.kind === "inet" ? null : refusal;
}
