import { readFileSync } from "node:fs";
import type { Check } from "../../compile/check.ts";
import type { MainPlan } from "../../compile/plan.ts";
import type { Word } from "../../config/tree.ts";

/** `user name [group]`, looked up as nginx does; the group is that of the user's name where none stands. */
export function lookUpUser(
  user: Word | undefined,
  group: Word | undefined,
  check: Check,
): MainPlan["user"] | undefined {
  if (user === undefined) return undefined;
  if (process.getuid?.() !== 0) {
    check.warn(
      user.span,
      'the "user" directive makes sense only if the master process runs with super-user privileges, ignored',
      {
        code: "user-without-privileges",
      },
    );
    return null;
  }
  const passwd = findEntry("/etc/passwd", user.text);
  if (passwd === null) {
    check.error(user.span, `getpwnam("${user.text}") failed`, {
      code: "unknown-user",
      notes: [{ message: "this system has no such user" }],
    });
    return undefined;
  }
  const groupName = group?.text ?? user.text;
  const groupEntry = findEntry("/etc/group", groupName);
  if (groupEntry === null) {
    check.error(group?.span ?? user.span, `getgrnam("${groupName}") failed`, {
      code: "unknown-group",
      notes: [{ message: "this system has no such group" }],
    });
    return undefined;
  }
  return { name: user.text, uid: Number(passwd[2]), gid: Number(groupEntry[2]) };
}

/** The fields of the line that begins with `name:`, null where there is none. */
function findEntry(file: string, name: string): readonly string[] | null {
  try {
    const line = readFileSync(file, "utf8")
      .split("\n")
      .find((each) => each.startsWith(`${name}:`));
    return line?.split(":") ?? null;
  } catch {
    return null;
  }
}
