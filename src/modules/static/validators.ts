import type { ByteString } from "../../base/bytes.ts";
import type { HeaderList } from "../../http/header-list.ts";
import { parseHttpDate } from "../../http/http-date.ts";

/** What identifies one state of a file. */
export interface Validators {
  /** With its quotes; null where `etag off` holds. */
  readonly etag: ByteString | null;
  /** Whole seconds, as HTTP dates have it, in milliseconds. */
  readonly modifiedMs: number;
}

export type IfModifiedSince = "off" | "exact" | "before";

/** What the request's conditions come to (RFC 9110 section 13.2.2): go on, 304, or 412. */
export function evaluateConditions(
  headers: HeaderList,
  validators: Validators,
  if_modified_since: IfModifiedSince,
): "go on" | 304 | 412 {
  const ifMatch = headers.get("if-match");
  const ifUnmodifiedSince = headers.get("if-unmodified-since");
  if (ifMatch !== undefined) {
    if (!matchesAny(ifMatch, validators.etag, false)) return 412;
  } else if (ifUnmodifiedSince !== undefined) {
    const date = parseHttpDate(ifUnmodifiedSince);
    if (date !== null && validators.modifiedMs > date) return 412;
  }
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== undefined) return matchesAny(ifNoneMatch, validators.etag, true) ? 304 : "go on";
  const ifModifiedSince = headers.get("if-modified-since");
  if (ifModifiedSince === undefined || if_modified_since === "off") return "go on";
  const date = parseHttpDate(ifModifiedSince);
  if (date === null) return "go on";
  const isFresh =
    if_modified_since === "exact" ? date === validators.modifiedMs : validators.modifiedMs <= date;
  return isFresh ? 304 : "go on";
}

/** Whether a Range header is to be heeded, which If-Range makes depend on the file being the same still. */
export function ifRangeHolds(headers: HeaderList, validators: Validators): boolean {
  const condition = headers.get("if-range");
  if (condition === undefined) return true;
  // A weak tag never matches here (RFC 9110 section 13.1.5).
  if (condition.startsWith('"')) return condition === validators.etag;
  return parseHttpDate(condition) === validators.modifiedMs;
}

function matchesAny(list: ByteString, etag: ByteString | null, isWeak: boolean): boolean {
  if (list.trim() === "*") return true;
  if (etag === null) return false;
  return list.split(",").some((each) => {
    const tag = each.trim();
    return tag === etag || (isWeak && tag === `W/${etag}`);
  });
}
