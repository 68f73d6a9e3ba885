import { type FSWatcher, existsSync, readFileSync, watch } from "node:fs";
import { dirname } from "node:path";
import { within } from "./deadline.ts";

/** A text that grows, such as what a process writes to its standard error. */
export class GrowingText {
  text = "";
  #isComplete = false;
  #wake: (() => void)[] = [];

  push(chunk: string): void {
    this.text += chunk;
    this.#wakeReaders();
  }

  /** Nothing will be added any more. */
  complete(): void {
    this.#isComplete = true;
    this.#wakeReaders();
  }

  /** The first match at or after index `from`, now or later. */
  async waitFor(pattern: RegExp, from: number = 0): Promise<RegExpExecArray> {
    const found = async (): Promise<RegExpExecArray> => {
      for (;;) {
        const match = new RegExp(pattern.source, pattern.flags.replace("g", "")).exec(this.text.slice(from));
        if (match !== null) return match;
        if (this.#isComplete) throw new Error(`the output ended without ${pattern}:\n${tail(this.text)}`);
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    };
    return await within(found(), () => `${pattern} in the output:\n${tail(this.text)}`);
  }

  #wakeReaders(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Waits until the file at `path` matches `pattern`; the file need not exist yet, its folder must. */
export async function waitForFile(path: string, pattern: RegExp): Promise<RegExpExecArray> {
  let watcher: FSWatcher | undefined;
  const found = new Promise<RegExpExecArray>((resolve, reject) => {
    const look = (): void => {
      const match = pattern.exec(readFileIfAny(path));
      if (match !== null) resolve(match);
    };
    watcher = watch(dirname(path), look);
    watcher.on("error", reject);
    look();
  });
  try {
    return await within(found, () => `${pattern} in ${path}:\n${tail(readFileIfAny(path))}`);
  } finally {
    watcher?.close();
  }
}

/** The file's text, or nothing where there is no file. */
export function readFileIfAny(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** The last lines of a text, for messages. */
export function tail(text: string, lines: number = 30): string {
  const all = text.trimEnd().split("\n");
  const kept = all.slice(-lines).join("\n");
  return all.length > lines ? `…\n${kept}` : kept;
}
