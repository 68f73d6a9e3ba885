import type { Directive, Word } from "../config/tree.ts";
import type { Check } from "./check.ts";
import type { Context } from "./contexts.ts";
import type { BlockHead, Scope } from "./scope.ts";

/** How a value is read from a directive's arguments, and how that is written down for people. */
export interface ValueType<T> {
  /** nginx's notation: `on | off`, `size`, `name value`. */
  readonly syntax: string;
  readonly arity: Arity;
  /**
   * Reports what is wrong through `check` and returns undefined. `besides` are words that the directive takes, too, and
   * that messages about a wrong value therefore have to name, such as `off`.
   */
  readonly parse: (
    args: readonly Word[],
    check: Check,
    directive: Directive,
    besides?: readonly string[],
  ) => T | undefined;
}

/** Least and greatest number of arguments. */
export type Arity = readonly [min: number, max: number];

/**
 * How a directive reaches the levels below the one it stands on.
 * `nearest`: the value of the closest level that has one. `list`: the whole list of the closest level that has any
 * entry; one entry hides all inherited ones (proxy_set_header, add_header). `none`: holds for its own level only.
 */
export type Inheritance = "nearest" | "list" | "none";

/** A directive as a row: everything that checking, compiling and documenting it needs. */
export interface DirectiveRow<T = unknown> {
  readonly in: readonly Context[];
  readonly syntax: string;
  readonly arity: Arity;
  /** `required`: it takes a `{…}` block; one of entries that its own type reads (map, types) unless it `opens` a level. */
  readonly block: "none" | "required";
  readonly inherit: Inheritance;
  /** True: it may stand several times on one level, and the setting is the list of all. */
  readonly repeats: boolean;
  readonly default: T;
  /** The default in words where the value does not say it: `4 8k`. */
  readonly defaultText: string | null;
  readonly doc: string;
  /** False for what wsgate adds to the language: stock nginx would refuse it. */
  readonly nginx: boolean;
  /** False: accepted and checked, without effect here. */
  readonly effect: boolean;
  /** It answers requests; of several on a level the last does: compile/handlers.ts. */
  readonly isHandler: boolean;
  /** Set for a directive that opens a level: which one, depending on the level it stands on. */
  readonly opens: ((parent: Context) => Context) | null;
  readonly parse: (args: readonly Word[], check: Check, directive: Directive) => unknown;
}

interface RowText {
  readonly in: readonly Context[];
  readonly doc: string;
  readonly defaultText?: string;
  readonly nginx?: boolean;
  readonly effect?: boolean;
  readonly isHandler?: boolean;
  readonly block?: "none" | "required";
}

/** A directive that stands once per level; its setting is one value. */
export function one<T, D = T>(
  row: RowText & {
    readonly type: ValueType<T>;
    readonly default: D;
    readonly inherit?: "nearest" | "none";
  },
): DirectiveRow<T | D> {
  return {
    ...common(row, row.type),
    inherit: row.inherit ?? "nearest",
    repeats: false,
    default: row.default,
  };
}

/** A directive that may stand several times on a level; its setting is the list of its values, in order. */
export function many<T>(
  row: RowText & { readonly type: ValueType<T>; readonly inherit: "list" | "none" },
): DirectiveRow<readonly T[]> {
  return { ...common(row, row.type), inherit: row.inherit, repeats: true, default: [] };
}

/** A directive of nginx that has no meaning here: its value is checked, and `wsgate lint` lists it once. */
export function withoutEffect<T>(
  row: Omit<RowText, "effect"> & { readonly type: ValueType<T>; readonly repeats?: boolean },
): DirectiveRow<undefined> {
  return {
    ...common({ ...row, effect: false }, row.type),
    inherit: "nearest",
    repeats: row.repeats ?? false,
    default: undefined,
  };
}

/** A directive that opens a level of its own, such as `server {…}`. Its setting is the list of the opened levels. */
export function block(
  row: RowText & {
    readonly type: ValueType<BlockHead>;
    readonly opens: (parent: Context) => Context;
    readonly repeats: boolean;
  },
): DirectiveRow<readonly Scope[]> {
  return {
    ...common(row, row.type),
    block: "required",
    inherit: "none",
    repeats: row.repeats,
    default: [],
    opens: row.opens,
  };
}

function common<T>(
  row: RowText,
  type: ValueType<T>,
): Pick<
  DirectiveRow<T>,
  | "in"
  | "syntax"
  | "arity"
  | "block"
  | "defaultText"
  | "doc"
  | "nginx"
  | "effect"
  | "isHandler"
  | "opens"
  | "parse"
> {
  return {
    in: row.in,
    syntax: type.syntax,
    arity: type.arity,
    block: row.block ?? "none",
    defaultText: row.defaultText ?? null,
    doc: row.doc,
    nginx: row.nginx ?? true,
    effect: row.effect ?? true,
    isHandler: row.isHandler ?? false,
    opens: null,
    parse: type.parse,
  };
}

export type Rows = Readonly<Record<string, DirectiveRow>>;

/** Rows for the fields of a settings type: one for each, none besides. */
export type RowsOf<T> = { readonly [Name in keyof T]: DirectiveRow<T[Name]> };

/** The settings that a set of rows gives for one level: a field per directive, spelled as in the configuration. */
export type SettingsOf<R extends Rows> = {
  readonly [Name in keyof R]: R[Name] extends DirectiveRow<infer T> ? T : never;
};

/** Reads the settings that `rows` have at `scope`, inheritance applied. */
export function settingsAt<R extends Rows>(rows: R, scope: Scope): SettingsOf<R> {
  const settings: Record<string, unknown> = {};
  for (const [name, row] of Object.entries(rows)) settings[name] = scope.resolve(row);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each row has parsed what it says its type is
  return Object.freeze(settings) as SettingsOf<R>;
}
