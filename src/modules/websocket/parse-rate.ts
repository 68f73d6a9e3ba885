import { parseSize } from "../../base/units.ts";
import type { Check } from "../../compile/check.ts";
import type { Word } from "../../config/tree.ts";
import type { Rate } from "../../websocket/rate.ts";

/** What a message or byte rate is written like: `100r/s`, `30r/m`, `64k/s`. */
const MESSAGES = /^(\d{1,9})r\/([sm])$/;
const BYTES = /^(\d{1,12}[km]?)\/s$/i;

/** `rate [burst=number | size] [from=client | upstream] [delay | close]`, the rest in any order, or `off`. */
export function parseRate(args: readonly Word[], check: Check): Rate | "off" | undefined {
  const [first, ...rest] = args;
  if (first === undefined) return undefined;
  if (first.text === "off" && rest.length === 0) return "off";
  const measure = parseMeasure(first, check);
  if (measure === undefined) return undefined;
  let burst = Math.max(1, Math.ceil(measure.perSecond));
  let from: Rate["from"] = "client";
  let excess: Rate["excess"] = "delay";
  for (const word of rest) {
    const { text } = word;
    if (text.startsWith("burst=")) {
      const read = parseBurst(text.slice("burst=".length), measure.unit);
      if (read === null) return invalid(word, check, burstNote(measure.unit));
      burst = Math.max(1, read);
    } else if (text === "from=client" || text === "from=upstream") {
      from = text === "from=client" ? "client" : "upstream";
    } else if (text === "delay" || text === "close") {
      excess = text;
    } else {
      return invalid(
        word,
        check,
        'behind the rate stand "burst=…", "from=client" or "from=upstream", "delay" or "close"',
      );
    }
  }
  return { ...measure, burst, from, excess };
}

function parseMeasure(word: Word, check: Check): Pick<Rate, "unit" | "perSecond"> | undefined {
  const [, count, per] = MESSAGES.exec(word.text) ?? [];
  const size = BYTES.exec(word.text)?.[1];
  const perSecond = count === undefined ? parseSize(size ?? "") : Number(count) / (per === "m" ? 60 : 1);
  if (perSecond === null || perSecond === 0) {
    return invalid(
      word,
      check,
      'a rate of messages is "100r/s" or "30r/m", one of bytes "64k/s"; "off" is for none',
    );
  }
  return { unit: count === undefined ? "bytes" : "messages", perSecond };
}

function parseBurst(text: string, unit: Rate["unit"]): number | null {
  if (unit === "messages") return /^\d{1,9}$/.test(text) ? Number(text) : null;
  return parseSize(text);
}

function burstNote(unit: Rate["unit"]): string {
  return unit === "messages"
    ? "the burst of a rate of messages is a number of messages"
    : 'the burst of a rate of bytes is a size such as "256k"';
}

function invalid(word: Word, check: Check, message: string): undefined {
  check.error(word.span, `invalid value "${word.text}"`, { code: "invalid-value", notes: [{ message }] });
  return undefined;
}
