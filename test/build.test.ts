/** scripts/build.mjs, on a tree of its own: who runs from dist/ always finds it whole. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nextTurn, untilSo, within } from "./rig/deadline.ts";
import { useRig } from "./rig/ledger.ts";
import { REPOSITORY, temporaryFolder } from "./rig/proxy-process.ts";

useRig();

interface Tree {
  readonly folder: string;
  write(path: string, text: string): void;
  read(path: string): string;
  /** Resolves with the exit code. */
  build(): Promise<number>;
}

/** A program of two modules. */
function makeTree(): Tree {
  const folder = temporaryFolder();
  for (const name of ["src", "scripts"]) mkdirSync(join(folder, name));
  for (const file of ["scripts/build.mjs", "tsconfig.json", "tsconfig.build.json"])
    copyFileSync(join(REPOSITORY, file), join(folder, file));
  symlinkSync(join(REPOSITORY, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const write = (path: string, text: string): void => writeFileSync(join(folder, path), text);
  write("src/a.ts", "export const a = 1;\n");
  write("src/b.ts", "export const b = 1;\n");
  return {
    folder,
    write,
    read: (path) => readFileSync(join(folder, path), "utf8"),
    async build() {
      const child = spawn(process.execPath, [join(folder, "scripts/build.mjs")], { stdio: "ignore" });
      const [code]: unknown[] = await within(once(child, "exit"), "the build to end");
      return Number(code);
    },
  };
}

const WHOLE = [".built", "a.d.ts", "a.js", "b.d.ts", "b.js"];

test("dist has its files at any moment of a build, and afterwards the new ones", async () => {
  const tree = makeTree();
  expect(await tree.build()).toBe(0);
  tree.write("src/a.ts", "export const a = 2;\n");
  const over = tree.build();
  const isOver = over.then(() => true);
  while (!(await Promise.race([isOver, nextTurn()]))) {
    expect(tree.read("dist/a.js")).toMatch(/^export const a = [12];\n$/);
  }
  expect(await over).toBe(0);
  expect(tree.read("dist/a.js")).toContain("a = 2");
});

test("builds at the same time do not disturb each other, and leave nothing beside", async () => {
  const tree = makeTree();
  expect(await Promise.all([tree.build(), tree.build(), tree.build()])).toEqual([0, 0, 0]);
  expect(readdirSync(join(tree.folder, "dist")).sort()).toEqual(WHOLE);
  expect(readdirSync(tree.folder).filter((name) => name.startsWith("dist"))).toEqual(["dist"]);
});

test("what has no source any more goes, and a build that fails changes nothing", async () => {
  const tree = makeTree();
  tree.write("src/gone.ts", "export const gone = 1;\n");
  expect(await tree.build()).toBe(0);
  expect(existsSync(join(tree.folder, "dist/gone.js"))).toBe(true);
  rmSync(join(tree.folder, "src/gone.ts"));
  tree.write("src/a.ts", "export const a: string = 2;\n");
  expect(await tree.build()).not.toBe(0);
  expect(tree.read("dist/a.js")).toContain("a = 1");
  expect(readdirSync(tree.folder).filter((name) => name.startsWith("dist"))).toEqual(["dist"]);
  tree.write("src/a.ts", "export const a = 3;\n");
  expect(await tree.build()).toBe(0);
  expect(readdirSync(join(tree.folder, "dist")).sort()).toEqual(WHOLE);
});

test("what is as new as the sources is not built again, and what changed while the compiler ran is", async () => {
  const tree = makeTree();
  expect(await tree.build()).toBe(0);
  tree.write("dist/a.js", "as it was");
  expect(await tree.build()).toBe(0);
  expect(tree.read("dist/a.js")).toBe("as it was");
  tree.write("src/a.ts", "export const a = 2;\n");
  const over = tree.build();
  await untilSo("the compiler to run", () =>
    readdirSync(tree.folder).some((name) => name.startsWith("dist.new-")),
  );
  tree.write("src/b.ts", "export const b = 2;\n");
  expect(await over).toBe(0);
  expect(await tree.build()).toBe(0);
  expect(tree.read("dist/b.js")).toContain("b = 2");
});

test("a source that is gone is reason enough to build", async () => {
  const tree = makeTree();
  expect(await tree.build()).toBe(0);
  rmSync(join(tree.folder, "src/b.ts"));
  expect(await tree.build()).toBe(0);
  expect(readdirSync(join(tree.folder, "dist")).sort()).toEqual([".built", "a.d.ts", "a.js"]);
});
