/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";

export interface Options {
  readonly quick: boolean;
  /** Scenario names or whole words from their beginning, such as `ws-64`; empty means all. */
  readonly only: readonly string[];
  /** Names of contenders; empty means all. */
  readonly contenders: readonly string[];
  readonly jsonFile: string;
  readonly help: boolean;
}

export const USAGE = `usage: npm run bench -- [NAME...] [--quick] [--only NAME,...] [--contenders NAME,...] [--json FILE]

  --quick             under a minute: the most telling scenarios, fewer and shorter rounds
  --only ws-64        only scenarios whose name begins with these words: ws-64-100 and ws-64-1000
  idle                the same as --only idle: ten thousand idle tunnels, which nothing else measures
  --contenders nginx  only these; "direct" is always measured, alone if it is the only name
  --json FILE         where to write the figures; bench/results/latest.json unless given`;

/** The options, or what is wrong with them. */
export function parseOptions(
  args: readonly string[],
  jsonFile: string,
): Options | { readonly error: string } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", default: "" },
        contenders: { type: "string", default: "" },
        json: { type: "string", default: jsonFile },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const { quick, only, contenders, json, help } = values;
    return {
      quick,
      only: [...positionals, ...names(only)],
      contenders: names(contenders),
      jsonFile: json,
      help,
    };
  } catch (reason) {
    return { error: reason instanceof Error ? reason.message : String(reason) };
  }
}

function names(list: string): string[] {
  return list.split(",").filter(Boolean);
}

/** Whether `matches` holds for one of `choices`; no choice is every choice. */
export function isChosen(choices: readonly string[], matches: (choice: string) => boolean): boolean {
  return choices.length === 0 || choices.some(matches);
}
