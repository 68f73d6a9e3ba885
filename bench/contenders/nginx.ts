import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Contender, installedVersion } from "./contender.ts";
import { nginxConf } from "./nginx-conf.ts";

/** Paths that are compiled in and that only the system's own nginx may write to. */
const OWN_TEMPORARY_PATHS: string = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
  .map((name) => `${name}_temp_path temporary_${name};`)
  .join("\n    ");

export const nginx: Contender = {
  name: "nginx",
  version: () => installedVersion("nginx", ["-v"]),
  prepare: (place) => {
    const file = join(place.folder, "nginx.conf");
    writeFileSync(file, nginxConf(place, { main: "daemon off;", http: OWN_TEMPORARY_PATHS }));
    return { command: "nginx", args: ["-c", file, "-p", place.folder, "-e", "error.log"] };
  },
};
