/** How many columns of a terminal a character takes: 0, 1 or 2 (Unicode's East Asian Width, and its marks). */
export function displayWidth(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  // Everything before the first combining mark is one column wide.
  if (code < 0x300) return 1;
  if (/^[\p{Mn}\p{Me}\p{Cf}]/u.test(char)) return 0;
  if (/^\p{Emoji_Presentation}/u.test(char)) return 2;
  return wideRanges.some(([first, last]) => first <= code && code <= last) ? 2 : 1;
}

/** The blocks whose characters have the width property W or F. */
const wideRanges: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f], // Hangul Jamo
  [0x2e80, 0x303e], // CJK radicals, punctuation
  [0x3041, 0xa4cf], // kana, CJK ideographs, Yi
  [0xa960, 0xa97f], // Hangul Jamo, extended
  [0xac00, 0xd7a3], // Hangul syllables
  [0xf900, 0xfaff], // CJK compatibility ideographs
  [0xfe10, 0xfe19], // vertical forms
  [0xfe30, 0xfe6f], // CJK compatibility forms
  [0xff00, 0xff60], // fullwidth forms
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff], // Tangut and other ideographic symbols
  [0x1b000, 0x1b2ff], // further kana
  [0x1f300, 0x1faff], // pictographs
  [0x20000, 0x3fffd], // further CJK ideographs
];
