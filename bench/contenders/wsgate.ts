import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Contender, installedVersion } from "./contender.ts";
import { nginxConf } from "./nginx-conf.ts";

/** From `dist-bench/bench/contenders/` up to the root. */
const PROGRAM: string = fileURLToPath(new URL("../../../bin/wsgate", import.meta.url));

export const wsgate: Contender = {
  name: "wsgate",
  version: () => (existsSync(PROGRAM) ? installedVersion(process.execPath, [PROGRAM, "-v"]) : undefined),
  prepare: (place) => {
    const file = join(place.folder, "nginx.conf");
    writeFileSync(file, nginxConf(place, "", ""));
    return { command: process.execPath, args: [PROGRAM, "-c", file, "-p", place.folder] };
  },
};
