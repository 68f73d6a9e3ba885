import { displayWidth } from "../../config/display-width.ts";

/**
 * `text` without what a terminal would obey: what a server has sent must not move the cursor, change the title or turn the
 * reading direction. Line ends stay.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === "\n" || character === "\t" ? character : "\ufffd",
  );
}

/** Fills `text` up with spaces to so many columns of a terminal. */
export function padColumns(text: string, columns: number): string {
  let width = 0;
  for (const character of text) width += displayWidth(character);
  return text + " ".repeat(Math.max(0, columns - width));
}
