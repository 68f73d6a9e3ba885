import type { ByteString } from "../../base/bytes.ts";

/** Bytes `[start, end)` of a file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Ranges that overlap this much cost more than the whole: a list of them is not heeded. */
const RANGES_MAX = 100;

/**
 * Reads a Range header (RFC 9110 section 14.2) for a file of `size` bytes. `whole`: no range or one that is not to be
 * heeded; `unsatisfiable`: 416.
 */
export function parseRanges(
  header: ByteString | undefined,
  size: number,
  max_ranges: number | null,
): readonly ByteRange[] | "whole" | "unsatisfiable" {
  if (header === undefined || max_ranges === 0 || !/^bytes=/i.test(header)) return "whole";
  const specs = header.slice("bytes=".length).split(",");
  if (specs.length > (max_ranges ?? RANGES_MAX)) return "whole";
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const parts = /^\s*(\d{0,15})-(\d{0,15})\s*$/.exec(spec);
    const [, first = "", last = ""] = parts ?? [];
    if (parts === null || (first === "" && last === "")) return "unsatisfiable";
    const range = first === "" ? suffix(Number(last), size) : span(Number(first), last, size);
    if (range === null) return "unsatisfiable";
    if (range.end > range.start) ranges.push(range);
  }
  if (ranges.length === 0) return "unsatisfiable";
  // Together more than the file: the whole of it is the smaller answer, as nginx has it.
  const total = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  return total > size ? "whole" : ranges;
}

/** `-500`: the last 500 bytes. */
function suffix(length: number, size: number): ByteRange {
  return { start: Math.max(0, size - length), end: size };
}

/** `0-499` or `500-`. Null where the end lies before the start. */
function span(start: number, last: string, size: number): ByteRange | null {
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < start) return null;
  return { start: Math.min(start, end), end };
}
