import { parseSize } from "../../base/units.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import type { Check } from "../../compile/check.ts";
import type { Word } from "../../config/tree.ts";
import type { Template } from "../../compile/template.ts";
import { custom, flag, size, template } from "../../compile/values.ts";

export interface BufferingSettings {
  readonly proxy_buffering: boolean;
  readonly proxy_buffer_size: number;
  readonly proxy_limit_rate: Template | null;
  readonly proxy_buffers: { readonly count: number; readonly size: number };
}

/** How much of an answer is read ahead of its client. */
export const bufferingRows: RowsOf<BufferingSettings> = {
  proxy_buffering: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    doc: "on: as much of an answer as proxy_buffers hold is read ahead of a slow client; off: nothing is.",
  }),
  proxy_limit_rate: one({
    in: HTTP_SERVER_LOCATION,
    type: template("rate"),
    default: null,
    defaultText: "0",
    doc: "Bytes per second that are read of an answer, after those of a first second; 0: no limit.",
  }),
  proxy_buffer_size: one({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    default: 4096,
    defaultText: "4k",
    doc: "The greatest length of the head of an answer.",
  }),
  proxy_buffers: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("number size", [2, 2], parseBuffers),
    default: { count: 8, size: 4096 },
    defaultText: "8 4k",
    doc: "How much of an answer may be read ahead of a slow client: so many times so many bytes.",
  }),
};

function parseBuffers(
  [number, size]: readonly Word[],
  check: Check,
): { count: number; size: number } | undefined {
  if (number === undefined || size === undefined) return undefined;
  const count = /^[1-9]\d{0,8}$/.test(number.text) ? Number(number.text) : 0;
  const bytes = parseSize(size.text) ?? 0;
  if (count >= 2 && bytes > 0) return { count, size: bytes };
  const message = count === 1 ? 'there must be at least 2 "proxy_buffers"' : "invalid value";
  check.error((count === 0 ? number : size).span, message, { code: "invalid-value" });
  return undefined;
}
