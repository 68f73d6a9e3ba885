import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useRig } from "../../test/rig/ledger.ts";
import { temporaryFolder } from "../../test/rig/proxy-process.ts";
import { findPlaces } from "./places.ts";

useRig();

const NONE = { config: null, prefix: null, errorLog: null };

test.each([
  [{ ...NONE, config: "/etc/x/my.conf" }, "/etc/x/my.conf", "/etc/x"],
  [{ ...NONE, config: "/etc/x/conf/my.conf" }, "/etc/x/conf/my.conf", "/etc/x"],
  [{ ...NONE, config: "my.conf" }, join(process.cwd(), "my.conf"), process.cwd()],
  [{ ...NONE, config: "my.conf", prefix: "/srv" }, "/srv/my.conf", "/srv"],
  [{ ...NONE, config: "/a/my.conf", prefix: "/srv" }, "/a/my.conf", "/srv"],
  [{ ...NONE, prefix: "sub" }, join(process.cwd(), "sub/conf/nginx.conf"), join(process.cwd(), "sub")],
])("%j: the file is %s, the prefix %s", (given, config, prefix) => {
  expect(findPlaces(given)).toMatchObject({ config, prefix });
});

test("without -c the file below conf/ comes before the one beside it", () => {
  const prefix = temporaryFolder();
  writeFileSync(join(prefix, "nginx.conf"), "");
  expect(findPlaces({ ...NONE, prefix }).config).toBe(join(prefix, "nginx.conf"));
  mkdirSync(join(prefix, "conf"));
  writeFileSync(join(prefix, "conf", "nginx.conf"), "");
  expect(findPlaces({ ...NONE, prefix }).config).toBe(join(prefix, "conf/nginx.conf"));
});

test.each([
  [null, "stderr", "/srv/logs/error.log"],
  ["stderr", "stderr", "stderr"],
  ["e.log", "/srv/e.log", "/srv/e.log"],
  ["/var/e.log", "/var/e.log", "/var/e.log"],
])("-e %s: errors go to %s, in the background to %s", (errorLog, inFront, behind) => {
  expect(findPlaces({ config: "x", prefix: "/srv", errorLog })).toMatchObject({
    errorLog: inFront,
    backgroundErrorLog: behind,
  });
});
