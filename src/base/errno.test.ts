import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { describeSystemError } from "./errno.ts";

function failureOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

test("a failed call of the file system is described in the C library's words", () => {
  expect(describeSystemError(failureOf(() => readFileSync("/none")))).toBe("2: No such file or directory");
  expect(describeSystemError(failureOf(() => readFileSync("/")))).toBe("21: Is a directory");
});

test("a failed call of the network is, too", async () => {
  const error = await new Promise((resolve) => {
    createServer().on("error", resolve).listen(0, "192.0.2.1");
  });
  expect(describeSystemError(error)).toBe("99: Cannot assign requested address");
});

test("what is no failed call is described in its own words", () => {
  expect(describeSystemError(new Error("odd"))).toBe("odd");
  expect(describeSystemError("odd")).toBe("odd");
});
