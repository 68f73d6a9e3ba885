import { parseTimeMs } from "../../base/units.ts";
import type { Check } from "../../compile/check.ts";
import type { Span } from "../../config/position.ts";
import type { Word } from "../../config/tree.ts";
import { DEFAULT_SERVER, type ServerSettings } from "../../upstream/peer.ts";
import { parseUpstreamAddress, type UpstreamAddress } from "../../upstream/upstream-address.ts";

/** One `server` line of an upstream block. */
export interface UpstreamServer {
  readonly address: UpstreamAddress;
  readonly settings: ServerSettings;
  readonly span: Span;
  /** Where `backup` stands; null without it. */
  readonly backupSpan: Span | null;
}

type Parameters = { -readonly [Name in keyof typeof DEFAULT_SERVER]: (typeof DEFAULT_SERVER)[Name] };

/** What nginx has besides and wsgate does not. */
const NOT_IMPLEMENTED = /^(resolve|drain|service=.*|route=.*|slow_start=.*)$/;

/** `server address [parameters]`. */
export function parseServer(args: readonly Word[], check: Check): UpstreamServer | undefined {
  const [addressWord, ...parameterWords] = args;
  if (addressWord === undefined) return undefined;
  const result = parseUpstreamAddress(addressWord.text);
  if (!result.ok) {
    check.error(addressWord.span, `${result.message} in upstream "${addressWord.text}"`, {
      code: "upstream-address",
    });
    return undefined;
  }
  const parameters: Parameters = { ...DEFAULT_SERVER };
  for (const word of parameterWords) {
    if (!readParameter(word, parameters)) {
      reportParameter(word, check);
      return undefined;
    }
  }
  return {
    address: result.address,
    settings: { ...parameters, server: addressWord.text },
    span: addressWord.span,
    backupSpan: parameterWords.find((word) => word.text === "backup")?.span ?? null,
  };
}

/** Reads one parameter; false: it is none, or its value will not do. */
function readParameter(word: Word, parameters: Parameters): boolean {
  const [name = "", value] = word.text.split(/=(.*)/s, 2);
  switch (name) {
    case "down":
    case "backup":
      parameters[name] = true;
      return value === undefined;
    case "weight":
    case "max_fails":
    case "max_conns": {
      const number = /^\d{1,9}$/.test(value ?? "") ? Number(value) : -1;
      parameters[name] = number;
      return number >= (name === "weight" ? 1 : 0);
    }
    case "fail_timeout": {
      const time = parseTimeMs(value ?? "");
      parameters.fail_timeout = time ?? 0;
      return time !== null;
    }
    default:
      return false;
  }
}

function reportParameter(word: Word, check: Check): void {
  check.error(word.span, `invalid parameter "${word.text}"`, {
    code: "invalid-parameter",
    notes: [
      NOT_IMPLEMENTED.test(word.text)
        ? { message: `nginx has "${word.text.replace(/=.*/s, "=…")}"; wsgate does not implement it` }
        : { message: 'server takes: weight=, max_conns=, max_fails=, fail_timeout=, "backup" and "down"' },
    ],
    ...(word.text === "resolve"
      ? { suggestion: "leave it out: names are resolved anew at each reload" }
      : {}),
  });
}
