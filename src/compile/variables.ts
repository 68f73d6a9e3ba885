import { nearestName } from "../config/typos.ts";
import type { Span } from "../config/position.ts";
import type { Extra, Slot } from "./check.ts";
import type { VariableRow } from "./module.ts";
import type { Getter, VariableRef } from "./template.ts";

type Report = (span: Span, message: string, extra: Extra) => void;

interface Declared {
  readonly slot: Slot;
  readonly get: Getter;
}

/**
 * All variables of one configuration: built-in rows, families of names (`$http_…`), and those that the configuration
 * declares. References may come before the declaration; {@link bind} joins them when everything has been read.
 */
export class Variables {
  private readonly rows = new Map<string, VariableRow>();
  private readonly families: VariableRow[] = [];
  private readonly declared = new Map<string, Declared>();
  private readonly references = new Map<string, { readonly ref: VariableRef; readonly span: Span }>();
  private readonly report: Report;

  constructor(rows: readonly VariableRow[], report: Report) {
    for (const row of rows) {
      if (row.family) this.families.push(row);
      else this.rows.set(row.name, row);
    }
    this.report = report;
  }

  /** One reference object per name: its getter is bound later. */
  reference(name: string, span: Span): VariableRef {
    const known = this.references.get(name);
    if (known !== undefined) return known.ref;
    const ref: VariableRef = { name, get: captureGetter(name) ?? unbound };
    this.references.set(name, { ref, span });
    return ref;
  }

  declare(name: string, span: Span, getter?: (slot: Slot) => Getter): Slot | undefined {
    const row = this.rows.get(name);
    if (row !== undefined && !row.changeable) {
      this.report(span, `the duplicate "${name}" variable`, {
        code: "duplicate-variable",
        notes: [{ message: `$${name} is built in and cannot be given another value` }],
      });
      return undefined;
    }
    const before = this.declared.get(name);
    if (before !== undefined && getter === undefined) return before.slot;
    const slot = before?.slot ?? { name, index: this.declared.size };
    this.declared.set(name, { slot, get: getter?.(slot) ?? slotGetter(slot.index, row) });
    return slot;
  }

  /** Binds every reference; reports those that nothing defines. */
  bind(): void {
    for (const { ref, span } of this.references.values()) {
      const get = captureGetter(ref.name) ?? this.find(ref.name);
      if (get !== null) {
        ref.get = get;
        continue;
      }
      const nearest = nearestName(ref.name, [...this.declared.keys(), ...this.rows.keys()]);
      this.report(span, `unknown "${ref.name}" variable`, {
        code: "unknown-variable",
        ...(nearest === null ? {} : { suggestion: `did you mean $${nearest}?` }),
      });
    }
  }

  private find(name: string): Getter | null {
    const declared = this.declared.get(name);
    if (declared !== undefined) return declared.get;
    const row = this.rows.get(name);
    if (row !== undefined) return row.get("");
    const family = this.families.find((candidate) => name.startsWith(candidate.name));
    return family === undefined ? null : family.get(name.slice(family.name.length));
  }
}

function captureGetter(name: string): Getter | null {
  if (!/^[1-9]$/.test(name)) return null;
  const group = Number(name);
  return (request) => request.captures?.[group];
}

/** A variable that `set` may change reads its slot, and before it was set the built-in value it overlays. */
function slotGetter(index: number, row: VariableRow | undefined): Getter {
  const builtIn = row?.get("");
  return (request) => request.slots[index] ?? builtIn?.(request);
}

function unbound(): undefined {
  return undefined;
}
