import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";

const COMMAND_CHARACTERS_MAX = 60;

/** A process as a person would look for it. */
export interface PortOwner {
  readonly pid: number;
  /** How it was called, cut to a length that fits into a message: `node server.js`. */
  readonly command: string;
}

/**
 * Which process listens on a TCP port; undefined where that cannot be known cheaply: Linux tells in /proc, and of other
 * users' processes only to root.
 */
export function portOwner(port: number): PortOwner | undefined {
  try {
    const inodes = listeningInodes(port);
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      if (holdsSocket(pid, inodes)) {
        return { pid: Number(pid), command: commandLine(pid) };
      }
    }
  } catch {
    // No /proc, or the process ended while being looked at: then nobody can be named.
  }
  return undefined;
}

/** Daemons put a title in place of their command line: `nginx: master process /usr/sbin/nginx`. */
const TITLE = /^[\w.-]+: /;

/** Without the folder of the program. */
function commandLine(pid: string): string {
  const [program = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  const line = [TITLE.test(program) ? program : basename(program), ...args].join(" ").trim();
  return line.length > COMMAND_CHARACTERS_MAX ? `${line.slice(0, COMMAND_CHARACTERS_MAX)}…` : line;
}

const STATE_LISTEN = "0A";

/** The links `socket:[INODE]` of the sockets listening on the port, from the tables of proc(5). */
function listeningInodes(port: number): ReadonlySet<string> {
  const portInHex = port.toString(16).toUpperCase().padStart(4, "0");
  const links = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readLines(table)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state === STATE_LISTEN && local.endsWith(`:${portInHex}`)) links.add(`socket:[${inode}]`);
    }
  }
  return links;
}

/** A table is missing where its protocol is. */
function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    return [];
  }
}

function holdsSocket(pid: string, links: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => links.has(readlinkSync(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false;
  }
}
