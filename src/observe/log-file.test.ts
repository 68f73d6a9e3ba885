import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useRig } from "../../test/rig/ledger.ts";
import { temporaryFolder } from "../../test/rig/proxy-process.ts";
import { LogFile } from "./log-file.ts";

useRig();

function newLog(): LogFile {
  return new LogFile(join(temporaryFolder(), "x.log"));
}

function textOf(log: LogFile): string {
  return readFileSync(log.path, "utf8");
}

test("lines of one turn are written together, in order", async () => {
  const log = newLog();
  log.open();
  log.write("one\n");
  log.write("two\n");
  expect(textOf(log)).toBe("");
  await new Promise((resolve) => setImmediate(resolve));
  expect(textOf(log)).toBe("one\ntwo\n");
  log.close();
});

test("what is written before the file was ever opened is lost, not kept", () => {
  const log = newLog();
  log.write("lost\n");
  log.flush();
  log.open();
  log.write("kept\n");
  log.close();
  expect(textOf(log)).toBe("kept\n");
});

test("the file stays open until all who opened it have closed it", () => {
  const log = newLog();
  log.open();
  log.open();
  log.close();
  renameSync(log.path, `${log.path}.moved`);
  log.write("to the file that is open\n");
  log.flush();
  expect(readFileSync(`${log.path}.moved`, "utf8")).toBe("to the file that is open\n");
  log.close();
});

test("whoever still writes afterwards appends to what has the name by then", () => {
  const log = newLog();
  log.setBuffer(1024, null);
  log.open();
  log.write("first\n");
  log.close();
  renameSync(log.path, `${log.path}.moved`);
  log.write("late\n");
  log.flush();
  expect(readFileSync(`${log.path}.moved`, "utf8")).toBe("first\n");
  expect(textOf(log)).toBe("late\n");
});

test("a buffer is written when it is full, when it is reopened, and when the file is closed", () => {
  const log = newLog();
  log.setBuffer(10, null);
  log.open();
  log.write("12345\n");
  expect(textOf(log)).toBe("");
  log.write("67890\n");
  expect(textOf(log)).toBe("12345\n");
  renameSync(log.path, `${log.path}.moved`);
  log.reopen();
  expect(readFileSync(`${log.path}.moved`, "utf8")).toBe("12345\n67890\n");
  log.write("new\n");
  log.close();
  expect(textOf(log)).toBe("new\n");
});

test("another buffer is in force from the next opening on, and lets go of what the one before held back", async () => {
  const log = newLog();
  log.setBuffer(1024, null);
  log.open();
  log.setBuffer(0, null);
  log.write("held back\n");
  await new Promise((resolve) => setImmediate(resolve));
  expect(textOf(log)).toBe("");
  log.open();
  await new Promise((resolve) => setImmediate(resolve));
  expect(textOf(log)).toBe("held back\n");
  log.close();
  log.close();
});

test("a path that cannot be opened anew leaves the old file in use", () => {
  const log = newLog();
  log.open();
  const folder = join(log.path, "..");
  renameSync(folder, `${folder}.moved`);
  expect(() => log.reopen()).toThrow(/ENOENT/);
  log.write("still\n");
  log.close();
  renameSync(`${folder}.moved`, folder);
  expect(textOf(log)).toBe("still\n");
});
