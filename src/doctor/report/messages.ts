/** What the browsers say in this very case. */
import { statusOf } from "../probe/handshake.ts";
import type { Walk } from "../probe/walk.ts";
import type { Cause } from "../verdict/illness.ts";
import { fillIn } from "../verdict/verdict.ts";

const CODE = /(?<=Unexpected response code: )\d+/;

/** One row for each browser and message, filled in; of those with a status the one that came. */
export function browserMessages(
  { illness, values }: Cause,
  { handshake }: Walk,
): readonly (readonly [browser: string, message: string])[] {
  const status = handshake === null ? null : statusOf(handshake);
  return Object.entries(illness.browsers).flatMap(([browser, messages]: [string, readonly string[]]) => {
    const shown = messages.map((message) =>
      status === null ? message : message.replace(CODE, String(status)),
    );
    return [...new Set(shown)].map((message): [string, string] => [browser, fillIn(message, values)]);
  });
}
