import type { MainPlan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { systemFault } from "./faults.ts";

/**
 * Gives up root for good, for the plan's user with all of that user's groups. To be called when addresses are bound and
 * files are open; harmless when it has been done. The fault is that of a container without the right to change users.
 */
export function dropPrivileges({ user }: MainPlan): readonly Diagnostic[] {
  if (user === null || process.getuid?.() !== 0) return [];
  let call = "";
  try {
    call = `initgroups(${user.name}, ${user.gid})`;
    initgroups(user.name, user.gid);
    call = `setgid(${user.gid})`;
    process.setgid?.(user.gid);
    call = `setuid(${user.uid})`;
    process.setuid?.(user.uid);
    return [];
  } catch (error) {
    return [systemFault("setuid", `${call} failed`, error)];
  }
}

/** Takes on all groups that the system knows the user to be in, and `gid`. */
function initgroups(name: string, gid: number): void {
  // Node's documented process.initgroups is missing from its types.
  if ("initgroups" in process && typeof process.initgroups === "function") process.initgroups(name, gid);
}

/** Goes to the plan's working_directory, if it has one. */
export function changeDirectory({ working_directory }: MainPlan): readonly Diagnostic[] {
  if (working_directory === null) return [];
  try {
    process.chdir(working_directory);
    return [];
  } catch (error) {
    return [systemFault("chdir", `chdir("${working_directory}") failed`, error)];
  }
}
