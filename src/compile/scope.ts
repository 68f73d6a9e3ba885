import type { ByteString } from "../base/bytes.ts";
import type { Span } from "../config/position.ts";
import type { Directive } from "../config/tree.ts";
import type { Context } from "./contexts.ts";
import type { LocationMatch, PlanRegex } from "./plan.ts";
import type { Request } from "./request.ts";
import type { DirectiveRow } from "./rows.ts";

/** What stands between a block directive's name and its brace, read. */
export type BlockHead =
  | { readonly kind: "plain" }
  | {
      readonly kind: "location";
      readonly match: LocationMatch;
      readonly path: ByteString;
      readonly regex: PlanRegex | null;
    }
  | { readonly kind: "upstream"; readonly name: string }
  | { readonly kind: "if"; readonly test: (request: Request) => boolean }
  | { readonly kind: "limit_except"; readonly methods: readonly string[] };

export interface Entry {
  readonly row: DirectiveRow;
  readonly value: unknown;
  readonly span: Span;
}

/** One block of the configuration with the checked values of the directives that stand in it. */
export class Scope {
  readonly context: Context;
  readonly parent: Scope | null;
  /** The directive that opened the block; null for the main level. */
  readonly directive: Directive | null;
  readonly head: BlockHead;
  readonly children: Scope[] = [];
  /** Everything that stands on this level, in order; blocks with their Scope as value. */
  readonly inOrder: Entry[] = [];
  /** By row: two modules may have directives of one name in different contexts (`server`, `keepalive_timeout`). */
  private readonly entries = new Map<DirectiveRow, Entry[]>();

  constructor(context: Context, parent: Scope | null, directive: Directive | null, head: BlockHead) {
    this.context = context;
    this.parent = parent;
    this.directive = directive;
    this.head = head;
    parent?.children.push(this);
  }

  add(row: DirectiveRow, value: unknown, span: Span): void {
    const entry = { row, value, span };
    this.inOrder.push(entry);
    const list = this.entries.get(row);
    if (list === undefined) this.entries.set(row, [entry]);
    else list.push(entry);
  }

  /** The first place at which this level itself has the directive, null where it has not. */
  ownSpan(row: DirectiveRow): Span | null {
    return this.entries.get(row)?.[0]?.span ?? null;
  }

  /** The level that decides the row's value here: this one, or by inheritance one above; null for the default. */
  deciding(row: DirectiveRow): Scope | null {
    if (this.entries.has(row)) return this;
    if (row.inherit === "none") return null;
    return this.parent?.deciding(row) ?? null;
  }

  /** The value of a row at this level, inheritance and default applied. */
  resolve(row: DirectiveRow): unknown {
    const entries = this.deciding(row)?.entries.get(row);
    if (entries === undefined) return row.default;
    if (row.repeats) return Object.freeze(entries.map((entry) => entry.value));
    return entries[0]?.value;
  }

  /** Blocks of one context directly inside this one, in order. */
  blocks(context: Context): readonly Scope[] {
    return this.children.filter((child) => child.context === context);
  }
}
