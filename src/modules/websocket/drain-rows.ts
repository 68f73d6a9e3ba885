import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import { custom, enumOf, orOff, timeMs } from "../../compile/values.ts";
import type { Directive, Word } from "../../config/tree.ts";
import { mayBeSent } from "../../websocket/close-codes.ts";
import type { DrainRules, DrainSettings } from "../../websocket/register.ts";

const SERVICE_RESTART = 1012;

/** How tunnels end when it is the operator who wants it. */
export const drainRows: RowsOf<DrainRules> = {
  websocket_drain: one({
    in: HTTP_SERVER_LOCATION,
    type: orOff(custom("time [code=number] [spread=on|off]", [1, 3], parseDrain)),
    default: { timeMs: 30_000, code: SERVICE_RESTART, spreads: true },
    defaultText: "30s code=1012 spread=on",
    nginx: false,
    doc: "How tunnels are closed when the process shuts down (-s quit), when they are asked to go elsewhere (-s drain), or where websocket_removal says so: each client gets a Close frame with the code, at a random moment of its own within the first part of the time, so that not all come back at once (spread=off: all at once). The closing handshake is awaited until the time is over; what is left then is cut, with a line in the error log. off: tunnels are left to end by themselves.",
  }),
  websocket_removal: one({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("keep", "drain"),
    default: "keep" as const,
    nginx: false,
    doc: "What a reload does with a tunnel whose upstream server is taken out of the configuration or marked down, whose location passes elsewhere now, or whose server block or listener is gone. keep: it stays open; drain: it is closed as websocket_drain says. What counts is what stood in the configuration when the tunnel was opened.",
  }),
};

function parseDrain(
  args: readonly Word[],
  check: Check,
  directive: Directive,
  besides?: readonly string[],
): DrainSettings | undefined {
  const [time, ...parameters] = args;
  if (time === undefined) return undefined;
  const parsed = timeMs().parse([time], check, directive, besides);
  if (parsed === undefined) return undefined;
  let code = SERVICE_RESTART;
  let spreads = true;
  for (const word of parameters) {
    const number = /^code=(\d{4})$/.exec(word.text)?.[1];
    if (number !== undefined && mayBeSent(Number(number))) code = Number(number);
    else if (/^spread(=on|=off)?$/.test(word.text)) spreads = word.text !== "spread=off";
    else {
      reportParameter(word, check);
      return undefined;
    }
  }
  return { timeMs: parsed, code, spreads };
}

function reportParameter(word: Word, check: Check): void {
  check.error(word.span, `invalid parameter "${word.text}"`, {
    code: "invalid-parameter",
    notes: [
      {
        message: word.text.startsWith("code=")
          ? "a Close frame may carry the codes 1000 to 1003, 1007 to 1014 and 3000 to 4999"
          : "websocket_drain takes: a time, code= and spread=on or spread=off",
      },
    ],
  });
}
