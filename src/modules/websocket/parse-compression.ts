import { parseSize } from "../../base/units.ts";
import type { Check } from "../../compile/check.ts";
import type { Word } from "../../config/tree.ts";
import type { CompressionSettings, OffloadSettings } from "../../websocket/compression.ts";
import { WINDOW_BITS_MAX, WINDOW_BITS_MIN } from "../../websocket/deflate-parameters.ts";

const OFFLOAD: OffloadSettings = {
  kind: "offload",
  level: 3,
  windowBits: 12,
  minBytes: 256,
  takeover: true,
};

/** A parameter of `offload`. */
interface Parameter {
  /** What a value says; null for one that it may not have. */
  readonly read: (value: string) => Partial<OffloadSettings> | null;
  readonly expected: string;
}

const PARAMETERS: ReadonlyMap<string, Parameter> = new Map([
  [
    "level",
    {
      read: (value: string) => numbered(value, 1, 9, (level) => ({ level })),
      expected: "level is a whole number from 1 (fast) to 9 (small)",
    },
  ],
  [
    "window",
    {
      read: (value: string) =>
        numbered(value, WINDOW_BITS_MIN, WINDOW_BITS_MAX, (windowBits) => ({ windowBits })),
      expected: "window is the binary logarithm of a size, from 9 (512 bytes) to 15 (32 kB)",
    },
  ],
  ["min", { read: readMin, expected: 'min is a size, as in "512" or "1k"' }],
  [
    "takeover",
    {
      read: (value: string) => (value === "on" || value === "off" ? { takeover: value === "on" } : null),
      expected: 'takeover is "on" or "off"',
    },
  ],
]);

/** `pass | off | offload [level=1-9] [window=9-15] [min=size] [takeover=on|off]`. */
export function parseCompression(args: readonly Word[], check: Check): CompressionSettings | undefined {
  const [kind, ...parameters] = args;
  switch (kind?.text) {
    case "offload":
      return parseOffload(parameters, check);
    case "pass":
    case "off": {
      const [extra] = parameters;
      return extra === undefined
        ? { kind: kind.text }
        : invalid(extra, check, `"${kind.text}" takes no parameters`);
    }
    default:
      return kind === undefined ? undefined : invalid(kind, check, 'it is "pass", "off" or "offload"');
  }
}

function parseOffload(parameters: readonly Word[], check: Check): OffloadSettings | undefined {
  const said: Partial<OffloadSettings>[] = [];
  const seen = new Set<string>();
  for (const word of parameters) {
    const [name = "", ...rest] = word.text.split("=");
    const parameter = PARAMETERS.get(name);
    if (parameter === undefined || rest.length === 0) {
      return invalid(
        word,
        check,
        "the parameters are level=1 to 9, window=9 to 15, min=size and takeover=on or off",
      );
    }
    if (seen.has(name)) return invalid(word, check, `"${name}" stands here twice`);
    seen.add(name);
    const setting = parameter.read(rest.join("="));
    if (setting === null) return invalid(word, check, parameter.expected);
    said.push(setting);
  }
  return Object.assign({}, OFFLOAD, ...said);
}

function readMin(value: string): Partial<OffloadSettings> | null {
  const minBytes = parseSize(value);
  return minBytes === null ? null : { minBytes };
}

function numbered(
  value: string,
  min: number,
  max: number,
  make: (number: number) => Partial<OffloadSettings>,
): Partial<OffloadSettings> | null {
  const number = /^\d{1,2}$/.test(value) ? Number(value) : -1;
  return number >= min && number <= max ? make(number) : null;
}

function invalid(word: Word, check: Check, message: string): undefined {
  check.error(word.span, `invalid parameter "${word.text}"`, { code: "invalid-value", notes: [{ message }] });
  return undefined;
}
