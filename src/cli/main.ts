import "../base/regexp-guard.ts";
import { VERSION } from "../base/version.ts";
import { findPlaces } from "../process/places.ts";
import { parseFlags, type Flags } from "./flags.ts";
import { HELP } from "./help.ts";
import { isQuick, runQuick } from "./quick.ts";

/** Each is loaded only when asked for, here and below: some bring the whole proxy, others what a running one does not need. */
const SUBCOMMANDS: ReadonlyMap<string, (args: readonly string[]) => Promise<number>> = new Map([
  ["demo", async (args) => (await import("./demo.ts")).runDemo(args)],
  ["lint", async (args) => (await import("./lint.ts")).runLint(args)],
  ["doctor", async (args) => (await import("./doctor.ts")).runDoctor(args)],
  ["explain", async (args) => (await import("./explain.ts")).runExplain(args)],
]);

/** Runs a command line and leaves its exit code in `process.exitCode`. */
export async function main(args: readonly string[]): Promise<void> {
  // Whoever reads our output may go away, as `head` does.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.exitCode = await dispatch(args);
}

async function dispatch(args: readonly string[]): Promise<number> {
  const subcommand = SUBCOMMANDS.get(args[0] ?? "");
  if (subcommand !== undefined) return subcommand(args.slice(1));
  if (isQuick(args)) return runQuick(args);
  const parsed = parseFlags(args);
  if (!parsed.ok) {
    process.stderr.write(`wsgate: ${parsed.message}\n`);
    return 1;
  }
  const { flags } = parsed;
  if (flags.help || flags.version || flags.build) printAbout(flags);
  // As in nginx, -v does not keep -t from being done.
  if (flags.help || ((flags.version || flags.build) && !flags.test)) return 0;
  const source = { places: findPlaces(flags), globals: flags.globals, files: {}, isFrozen: false };
  if (flags.test) return (await import("./test-configuration.ts")).testConfiguration(source, flags);
  if (flags.signal !== null) return (await import("./send-signal.ts")).sendSignal(source, flags.signal);
  return (await import("./serve.ts")).serve(source);
}

function printAbout(flags: Flags): void {
  process.stderr.write(`wsgate version: wsgate/${VERSION}\n`);
  if (flags.build)
    process.stderr.write(
      `running on Node.js ${process.version}, ${process.platform} ${process.arch}, OpenSSL ${process.versions.openssl}\n`,
    );
  if (flags.help) process.stdout.write(HELP);
}
