import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { normalize } from "node:path/posix";
import { describeSystemError } from "../base/errno.ts";

/** Where configuration files come from: the disk, or anything that behaves like it. */
export interface ConfigFiles {
  read(path: string): ReadResult;
  /** The names in a folder, in any order; empty where the folder is missing, unreadable, or none. */
  list(folder: string): readonly string[];
}

type ReadResult =
  | { readonly ok: true; readonly content: string | Uint8Array }
  /** `failure` is worded as nginx words it: `open() "/x" failed (2: No such file or directory)`. */
  | { readonly ok: false; readonly failure: string };

/** The files of this machine. Nothing of it throws. */
export const diskFiles: ConfigFiles = {
  read(path) {
    let descriptor: number;
    try {
      descriptor = openSync(path, "r");
    } catch (error) {
      return { ok: false, failure: `open() "${path}" failed (${describeSystemError(error)})` };
    }
    try {
      return { ok: true, content: readFileSync(descriptor) };
    } catch (error) {
      return { ok: false, failure: `pread() "${path}" failed (${describeSystemError(error)})` };
    } finally {
      closeSync(descriptor);
    }
  },

  list(folder) {
    try {
      return readdirSync(folder === "" ? "." : folder);
    } catch {
      return [];
    }
  },
};

/** Files that exist in memory only: absolute paths to contents. */
export function memoryFiles(contents: Readonly<Record<string, string | Uint8Array>>): ConfigFiles {
  const byPath = new Map(Object.entries(contents).map(([path, content]) => [normalize(path), content]));
  return {
    read(path) {
      const content = byPath.get(normalize(path));
      return content === undefined
        ? { ok: false, failure: `open() "${path}" failed (2: No such file or directory)` }
        : { ok: true, content };
    },
    list(folder) {
      const base = normalize(`${folder}/`);
      const inside = [...byPath.keys()].filter((path) => path.startsWith(base));
      return [...new Set(inside.map((path) => path.slice(base.length).split("/")[0] ?? ""))];
    },
  };
}
