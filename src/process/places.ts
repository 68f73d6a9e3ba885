import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";

/** Where a run of wsgate finds things; all paths absolute. */
export interface Places {
  /** The configuration file. */
  readonly config: string;
  /** What log files, roots and the like are relative to. */
  readonly prefix: string;
  /** Where errors go if no error_log says otherwise; `stderr` for the standard error stream. */
  readonly errorLog: string;
  /** The same for a process behind `daemon on`, which nobody looks at: a file, unless the command line says otherwise. */
  readonly backgroundErrorLog: string;
}

/**
 * Where things are, given what the command line says of it. Without `-p` the prefix is the folder of the configuration
 * file, or its parent where that folder is called `conf`, since nginx's own tree is laid out so. Without `-c` the file
 * is PREFIX/conf/nginx.conf or PREFIX/nginx.conf, whichever exists. Errors go to the standard error stream unless `-e`
 * or error_log says otherwise: wsgate stays in the foreground, where that is what is looked at.
 */
export function findPlaces(given: {
  readonly config: string | null;
  readonly prefix: string | null;
  readonly errorLog: string | null;
}): Places {
  const prefixGiven = given.prefix === null ? null : resolve(given.prefix);
  const config = findConfig(given.config, prefixGiven ?? process.cwd(), prefixGiven !== null);
  const folder = dirname(config);
  const prefix = prefixGiven ?? (basename(folder) === "conf" ? dirname(folder) : folder);
  const errorLog = errorLogPath(given.errorLog, prefix);
  const backgroundErrorLog = given.errorLog === null ? join(prefix, "logs", "error.log") : errorLog;
  return { config, prefix, errorLog, backgroundErrorLog };
}

function findConfig(given: string | null, prefix: string, isPrefixGiven: boolean): string {
  if (given !== null) {
    // nginx looks for a relative -c below its prefix; without -p, a person means the folder they are in.
    return isAbsolute(given) || !isPrefixGiven ? resolve(given) : join(prefix, given);
  }
  const candidates = [join(prefix, "conf", "nginx.conf"), join(prefix, "nginx.conf")];
  return candidates.find((path) => existsSync(path)) ?? candidates[0] ?? prefix;
}

function errorLogPath(given: string | null, prefix: string): string {
  if (given === null || given === "stderr") return "stderr";
  return isAbsolute(given) ? given : join(prefix, given);
}
