import { parseSize } from "../../base/units.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import { custom, flag, size } from "../../compile/values.ts";

export interface BufferingSettings {
  readonly proxy_buffering: boolean;
  readonly proxy_buffer_size: number;
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
  proxy_buffer_size: one({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    default: 4096,
    defaultText: "4k",
    doc: "The greatest length of the head of an answer.",
  }),
  proxy_buffers: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("number size", [2, 2], ([number, size], check) => {
      const count = /^\d{1,9}$/.test(number?.text ?? "") ? Number(number?.text) : 0;
      const bytes = parseSize(size?.text ?? "") ?? 0;
      if (count >= 2 && bytes > 0) return { count, size: bytes };
      const wrong = count >= 2 ? size : number;
      check.error(wrong?.span ?? null, `invalid value "${wrong?.text ?? ""}"`, {
        code: "invalid-value",
        notes: [{ message: "proxy_buffers takes a number of at least 2 and a size" }],
      });
      return undefined;
    }),
    default: { count: 8, size: 4096 },
    defaultText: "8 4k",
    doc: "How much of an answer may be read ahead of a slow client: so many times so many bytes.",
  }),
};
