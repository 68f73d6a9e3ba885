import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { describeSystemError } from "../base/errno.ts";

/** Where configuration files come from: the disk, or for tests and editors anything that behaves like it. */
export interface ConfigFiles {
  read(path: string): ReadResult;
  /** The names in a folder, in any order; empty where the folder is missing, unreadable, or none. */
  list(folder: string): readonly string[];
}

export type ReadResult =
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

/** Files that exist in memory only: paths to contents. */
export function memoryFiles(contents: Readonly<Record<string, string | Uint8Array>>): ConfigFiles {
  const paths = Object.keys(contents);
  return {
    read(path) {
      const content = Object.hasOwn(contents, path) ? contents[path] : undefined;
      if (content === undefined) {
        return { ok: false, failure: `open() "${path}" failed (2: No such file or directory)` };
      }
      return { ok: true, content };
    },
    list(folder) {
      const base = folder.endsWith("/") || folder === "" ? folder : `${folder}/`;
      const inside = paths.filter((path) => path.startsWith(base)).map((path) => path.slice(base.length));
      return [...new Set(inside.map((path) => path.split("/")[0] ?? ""))];
    },
  };
}
