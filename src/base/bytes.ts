/**
 * The data plane speaks *byte strings*: JavaScript strings in which each character is one byte (U+0000 to U+00FF),
 * as `latin1` decodes them. Bytes that came off the wire leave it unchanged, V8 keeps such strings at one byte a
 * character, and a regular expression matches bytes as PCRE does without its UTF mode. Text from configuration files
 * and other UTF-8 sources is turned into byte strings once, at load.
 */
export type ByteString = string;

/** The UTF-8 encoding of `text` as a byte string. */
export function byteStringFromText(text: string): ByteString {
  // Pure ASCII is its own encoding, and nearly everything is.
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return Buffer.from(text, "utf8").toString("latin1");
  }
  return text;
}

/** What a person should be shown of a byte string: decoded as UTF-8, with replacement characters where it is not. */
export function textFromByteString(bytes: ByteString): string {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes.charCodeAt(i) > 0x7f) return Buffer.from(bytes, "latin1").toString("utf8");
  }
  return bytes;
}

/** Lower-cases A to Z and leaves every other byte alone, as protocols compare names. */
export function asciiLowerCase(text: string): string {
  let hasUpper = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Beyond ASCII toLowerCase would change more than the letters meant here.
    if (code > 0x7f) return text.replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
    if (code >= 0x41 && code <= 0x5a) hasUpper = true;
  }
  return hasUpper ? text.toLowerCase() : text;
}
