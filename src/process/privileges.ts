import type { MainPlan } from "../compile/plan.ts";

/** Gives up root for good, once addresses are bound and files are open. Harmless when it has been done. */
export function dropPrivileges(user: MainPlan["user"]): void {
  if (user === null || process.getuid?.() !== 0) return;
  process.setgroups?.([user.gid]);
  process.setgid?.(user.gid);
  process.setuid?.(user.uid);
}
