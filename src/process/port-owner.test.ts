import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { obtain, useRig } from "../../test/rig/ledger.ts";
import { portOwner } from "./port-owner.ts";

useRig();

/** A program that listens on a port of its own; it runs `first` before. */
async function startListening(
  first: string,
): Promise<{ readonly pid: number | undefined; readonly port: number }> {
  const child = spawn(process.execPath, [
    "-e",
    `${first}; const s = net.createServer().listen(0, "127.0.0.1", () => console.log(s.address().port))`,
  ]);
  const ended = once(child, "exit");
  obtain("a program that listens", async () => {
    child.kill();
    await ended;
  });
  const [printed] = await once(child.stdout, "data");
  return { pid: child.pid, port: Number(String(printed)) };
}

test.skipIf(!existsSync("/proc/net/tcp"))("a program is named without its folder", async () => {
  const { pid, port } = await startListening("0");
  expect(portOwner(port)).toMatchObject({ pid, command: expect.stringMatching(/^node -e 0; /) });
});

test.skipIf(!existsSync("/proc/net/tcp"))("a daemon is named by its whole title, paths and all", async () => {
  const title = "nginx: master process /etc/nginx/nginx.conf";
  const { pid, port } = await startListening(`process.title = "${title}"`);
  expect(portOwner(port)).toEqual({ pid, command: title });
});
