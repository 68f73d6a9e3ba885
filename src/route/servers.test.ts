import { describe, expect, test } from "vitest";
import { makeListenerPlan, makeServerPlan } from "../../test/rig/listening.ts";
import { compilePcre } from "../compile/pcre/compile-pcre.ts";
import type { ListenerPlan, PlanRegex, ServerPlan } from "../compile/plan.ts";
import { selectServer } from "./servers.ts";

function server(name: string): ServerPlan {
  return makeServerPlan({ serverPlan: { name } });
}

function regex(source: string): PlanRegex {
  const compiled = compilePcre(source, { caseInsensitive: true });
  if (!compiled.ok) throw new Error(source);
  return { source, regexp: compiled.regexp, named: [] };
}

function listener(): ListenerPlan {
  const named = (names: readonly string[]): Map<string, ServerPlan> =>
    new Map(names.map((name) => [name, server(name)]));
  return makeListenerPlan({
    listener: {
      defaultServer: server("default"),
      names: {
        exact: named(["a.test", "www.a.test"]),
        leadingWildcard: named([".a.test", ".b.a.test", ".test"]),
        trailingWildcard: named(["www.", "www.a.", "mail."]),
        regexes: [
          { regex: regex(String.raw`^x\d+\.`), server: server("first") },
          { regex: regex("^x"), server: server("second") },
        ],
      },
    },
  });
}

describe("selectServer", () => {
  const plan = listener();

  test.each([
    ["a.test", "a.test", "an exact name comes first"],
    ["www.a.test", "www.a.test", "before any wildcard"],
    ["c.a.test", ".a.test", "then the longest leading wildcard"],
    ["c.b.a.test", ".b.a.test", "longest in the sense of its suffix"],
    ["d.c.b.a.test", ".b.a.test", "which stands for any number of labels"],
    ["b.a.test", ".a.test", "but not for none"],
    ["www.a.example", "www.a.", "then the longest trailing wildcard"],
    ["www.c.example", "www.", "which stands for any number of labels, too"],
    ["www", "default", "but not for none"],
    ["x1.example", "first", "then the first regular expression that matches"],
    ["xy.example", "second", "in their order"],
    ["mail.test", ".test", "a leading wildcard before a trailing one"],
    ["other.example", "default", "and at last the default server"],
    ["", "default", "also for no name"],
    [".test", "default", "and for a name that begins with a dot"],
  ])("%s is answered by %s: %s", (host, name) => {
    expect(selectServer(plan, host).name).toBe(name);
  });

  test("a server may be named for requests that name none", () => {
    const exact = new Map([["", server("nameless")]]);
    expect(selectServer({ ...plan, names: { ...plan.names, exact } }, "").name).toBe("nameless");
  });
});
