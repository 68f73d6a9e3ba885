import type { BackreferenceNode, Node } from "./ast.ts";
import { childrenOf } from "./ast.ts";
import { fixedLength } from "./analyse.ts";
import { syntaxError } from "./pattern-error.ts";

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

type Reference = {
  readonly node: Mutable<BackreferenceNode>;
  readonly to: number | string;
  readonly errorOffset: number;
};

/**
 * The groups of a pattern while it is parsed, and what can only be checked when all of them are known: where
 * backreferences point, for they may point forward and name groups to come, and the length of lookbehinds, which may
 * hold backreferences.
 */
export class GroupRegister {
  /** Groups opened so far. */
  count = 0;
  readonly names: Map<string, number> = new Map();
  readonly #bodies = new Map<number, Node>();
  readonly #references: Reference[] = [];
  #keepRefusal: { readonly errorOffset: number; readonly referencesBefore: number } | undefined;
  readonly #lookbehinds: { readonly body: Node; readonly offset: number }[] = [];

  /** Gives the next group to be opened a name, which ends at `nameEnd`. */
  nameNext(name: string, nameEnd: number): void {
    const group = this.count + 1;
    const known = this.names.get(name);
    // The branches of (?|…) number their groups alike and may name them alike, but not differently.
    if (known !== undefined && known !== group) {
      syntaxError("duplicateName", nameEnd, `Give one of the two groups named ${name} another name.`);
    }
    for (const [other, otherGroup] of this.names) {
      if (otherGroup === group && other !== name) syntaxError("differentNames", nameEnd - 1);
    }
    this.names.set(name, group);
  }

  open(): number {
    this.count++;
    return this.count;
  }

  close(group: number, body: Node): void {
    this.#bodies.set(group, body);
  }

  /** A backreference written at `offset`; PCRE reports one without a group at `errorOffset`. */
  reference(to: number | string, caseless: boolean, offset: number, errorOffset: number): Node {
    const node: Mutable<BackreferenceNode> = { kind: "backreference", group: 0, caseless, offset };
    this.#references.push({ node, to, errorOffset });
    return node;
  }

  lookbehind(body: Node, offset: number): void {
    this.#lookbehinds.push({ body, offset });
  }

  /** Notes a `\K` in a lookaround, which PCRE reports after wrong references before it and before those behind it. */
  refuseKeep(errorOffset: number): void {
    this.#keepRefusal ??= { errorOffset, referencesBefore: this.#references.length };
  }

  /** To be called once, at the end of the pattern. */
  resolve(): void {
    const wrong = this.#references.filter((reference) => !this.#resolve(reference));
    this.#checkLookbehinds(wrong);
    const [first] = wrong;
    const keep = this.#keepRefusal;
    if (
      keep !== undefined &&
      (first === undefined || this.#references.indexOf(first) >= keep.referencesBefore)
    ) {
      syntaxError("keepInLookaround", keep.errorOffset);
    }
    if (first !== undefined) syntaxError("noSuchGroup", first.errorOffset);
  }

  #resolve({ node, to }: Reference): boolean {
    const group = typeof to === "number" ? to : this.names.get(to);
    if (group === undefined || group > this.count) return false;
    node.group = group;
    return true;
  }

  #checkLookbehinds(wrong: readonly Reference[]): void {
    for (const { body, offset } of this.#lookbehinds) {
      const inside = wrong.find(({ node }) => contains(body, node));
      if (inside !== undefined) syntaxError("noSuchGroup", inside.errorOffset);
      // Each branch has to have a length, not all of them the same.
      const branches = body.kind === "choice" ? body.branches : [body];
      if (branches.some((branch) => fixedLength(branch, this.#bodies) === undefined)) {
        syntaxError(
          "lookbehindLength",
          offset,
          "Within (?<=…) and (?<!…), *, +, ? and {n,m} cannot be used.",
        );
      }
    }
  }
}

function contains(node: Node, part: Node): boolean {
  return node === part || childrenOf(node).some((child) => contains(child, part));
}
