import type { ByteString } from "../base/bytes.ts";
import type { Request } from "./request.ts";

/** What a step of the pipeline says when it is done with a request. */
export type Outcome =
  /** Not mine: the next step is asked. */
  | { readonly kind: "next" }
  /** The step answers the request itself, or calls {@link Request.resume} with its outcome later. */
  | { readonly kind: "pending" }
  /** End with this status: error_page is looked up, else the standard page is sent. */
  | { readonly kind: "status"; readonly status: number }
  /** A complete short answer made here. It goes through error_page only if `status` is 300 or more and body is null. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body: ByteString | null;
      /** null: the type that the location's types and default_type give for the path. */
      readonly contentType: ByteString | null;
      readonly headers: readonly (readonly [name: string, value: ByteString])[];
    }
  /** A 30x with Location; a location that begins with a slash is made absolute as absolute_redirect says. */
  | { readonly kind: "redirect"; readonly status: number; readonly location: ByteString }
  /** An internal redirect: start again at the choice of a location with this path (args null: keep the old ones). */
  | { readonly kind: "internal"; readonly path: ByteString; readonly args: ByteString | null }
  /** Go to the named location, the path unchanged. */
  | { readonly kind: "named"; readonly name: string }
  /** A rewrite changed the path and asks for a new choice of location (bounded to ten). */
  | { readonly kind: "relocate" };

export const NEXT: Outcome = Object.freeze({ kind: "next" });
export const PENDING: Outcome = Object.freeze({ kind: "pending" });
export const RELOCATE: Outcome = Object.freeze({ kind: "relocate" });

/** One step of a phase, made at load from a location's settings. Returns at once; see {@link Outcome}. */
export type Step = (request: Request) => Outcome;

/** Changes the response head just before it is sent: add_header, expires, charset. */
export type HeadFilter = (request: Request) => void;

/** Runs once when a request is over, whatever its end: the access log, counters. */
export type LogStep = (request: Request) => void;
