import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { examineAll } from "./clinic/examine.ts";
import { NETWORK_PATIENTS } from "./clinic/network.ts";
import { useRig } from "./rig/ledger.ts";
import { REPOSITORY } from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";

useRig();
examineAll(NETWORK_PATIENTS);

test("a machine without a route: has network-unreachable", (context) => {
  requires(context, "unshare");
  const command = [process.execPath, join(REPOSITORY, "bin/wsgate"), "doctor", "ws://192.0.2.1/chat"];
  const { stdout, status } = spawnSync("unshare", ["--map-root-user", "--net", ...command], {
    encoding: "utf8",
  });
  expect(stdout).toMatch(/^Sick \(network-unreachable, certain\)/);
  expect(status).toBe(1);
});
