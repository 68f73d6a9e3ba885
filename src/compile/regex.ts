import type { ByteString } from "../base/bytes.ts";
import type { PlanRegex } from "./plan.ts";
import type { Request } from "./request.ts";

/**
 * Matches `subject` and, where it does, sets `$1` … `$9` and the variables of named groups for the rest of the
 * request, as nginx's ngx_http_regex_exec does.
 */
export function execRegex(request: Request, regex: PlanRegex, subject: ByteString): boolean {
  const result = regex.regexp.exec(subject);
  if (result === null) return false;
  request.captures = result;
  for (const { slot, group } of regex.named) request.slots[slot] = result[group] ?? "";
  return true;
}
