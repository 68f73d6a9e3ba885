import type { ByteString } from "../../base/bytes.ts";

/** A place in a pattern. Past the end, characters read as the empty string. */
export class Cursor {
  readonly pattern: ByteString;
  offset = 0;

  constructor(pattern: ByteString) {
    this.pattern = pattern;
  }

  get atEnd(): boolean {
    return this.offset >= this.pattern.length;
  }

  peek(ahead = 0): string {
    return this.pattern.charAt(this.offset + ahead);
  }

  next(): string {
    const char = this.pattern.charAt(this.offset);
    this.offset++;
    return char;
  }

  /** Steps over `text` if it comes next. */
  take(text: string): boolean {
    if (!this.pattern.startsWith(text, this.offset)) return false;
    this.offset += text.length;
    return true;
  }

  /** Steps over what the sticky expression matches here and returns it, empty where it does not match. */
  takeMatch(sticky: RegExp): string {
    sticky.lastIndex = this.offset;
    const text = sticky.exec(this.pattern)?.[0] ?? "";
    this.offset += text.length;
    return text;
  }
}

export function isDigit(char: string): boolean {
  return char >= "0" && char <= "9" && char.length === 1;
}

export function isLetter(char: string): boolean {
  return (char >= "a" && char <= "z") || (char >= "A" && char <= "Z");
}
