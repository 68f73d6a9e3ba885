import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import type { HeadRule } from "./head-error.ts";
import { parseAuthority } from "./host.ts";

/** The four forms of a request target (RFC 9112 section 3.2). */
export type TargetForm = "origin" | "absolute" | "authority" | "asterisk";

/** A request target and its parts. */
export interface RequestTarget {
  readonly raw: ByteString;
  readonly form: TargetForm;
  readonly scheme: ByteString | null;
  readonly authority: ByteString | null;
  /** The authority's host and port, checked. */
  readonly host: ByteString | null;
  readonly port: number | null;
  readonly rawPath: ByteString;
  readonly rawQuery: ByteString | null;
}

const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)(.*)$/s;

/** Splits a target, which holds neither spaces nor control bytes nor `#`; or names the rule that it breaks. */
export function parseTarget(method: ByteString, raw: ByteString): RequestTarget | HeadRule {
  if (raw.charCodeAt(0) === 0x2f && method !== "CONNECT") {
    const question = raw.indexOf("?");
    return {
      raw,
      form: "origin",
      scheme: null,
      authority: null,
      host: null,
      port: null,
      rawPath: question < 0 ? raw : raw.slice(0, question),
      rawQuery: question < 0 ? null : raw.slice(question + 1),
    };
  }
  if (method === "CONNECT") return authorityForm(raw);
  if (raw === "*") {
    return method === "OPTIONS" || method === "PRI" ? asterisk(raw) : "invalid-target";
  }
  return absoluteForm(raw);
}

function asterisk(raw: ByteString): RequestTarget {
  return {
    raw,
    form: "asterisk",
    scheme: null,
    authority: null,
    host: null,
    port: null,
    rawPath: raw,
    rawQuery: null,
  };
}

/** `host:port`, only in CONNECT, where the port may not be left out. */
function authorityForm(raw: ByteString): RequestTarget | HeadRule {
  const named = parseAuthority(raw);
  if (named === null || named.port === null) return "invalid-authority";
  return {
    raw,
    form: "authority",
    scheme: null,
    authority: raw,
    host: named.host,
    port: named.port,
    rawPath: "",
    rawQuery: null,
  };
}

/** `scheme://authority/path?query`, which every server must understand (RFC 9112 section 3.2.2). */
function absoluteForm(raw: ByteString): RequestTarget | HeadRule {
  const match = ABSOLUTE.exec(raw);
  if (match === null) return "invalid-target";
  const [, scheme = "", authority = "", rest = ""] = match;
  const named = parseAuthority(authority);
  if (named === null) return "invalid-authority";
  const question = rest.indexOf("?");
  const path = question < 0 ? rest : rest.slice(0, question);
  return {
    raw,
    form: "absolute",
    scheme: asciiLowerCase(scheme),
    authority,
    host: named.host,
    port: named.port,
    rawPath: path === "" ? "/" : path,
    rawQuery: question < 0 ? null : rest.slice(question + 1),
  };
}
