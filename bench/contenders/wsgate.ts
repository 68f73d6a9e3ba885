import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Contender, installedVersion, type Launch, type Place } from "./contender.ts";
import { nginxConf, type OwnLines } from "./nginx-conf.ts";

/** From `dist-bench/bench/contenders/` up to the root. */
const PROGRAM: string = fileURLToPath(new URL("../../../bin/wsgate", import.meta.url));

function version(): string | undefined {
  return existsSync(PROGRAM) ? installedVersion(process.execPath, [PROGRAM, "-v"]) : undefined;
}

function prepare(place: Place, lines: OwnLines): Launch {
  const file = join(place.folder, "nginx.conf");
  writeFileSync(file, nginxConf(place, lines));
  return { command: process.execPath, args: [PROGRAM, "-c", file, "-p", place.folder] };
}

export const wsgate: Contender = {
  name: "wsgate",
  version,
  prepare: (place) => prepare(place, {}),
};

/**
 * The same relay without frames: nobody reads them, nobody sends pings. A tunnel for a protocol that is no WebSocket, to
 * which this configuration lets any answer be the right one.
 */
export const wsgatePipe: Contender = {
  name: "wsgate-pipe",
  protocol: "bytes",
  version,
  prepare: (place) => prepare(place, { tunnel: "websocket_upgrade manual; proxy_upgrade_protocols any;" }),
};
