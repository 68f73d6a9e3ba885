import type { ByteString } from "../base/bytes.ts";

/**
 * `"text"` for the error log, where `text` is of somebody else's making: it must not seem to end before its end, nor hold
 * bytes that make lines or speak to a terminal.
 */
export function quoted(text: ByteString): ByteString {
  return `"${text.replace(/["\\]/g, hexEscape).replace(CONTROLS, hexEscape)}"`;
}

/** The same for what stands outside of quotes. */
export function withoutControls(text: ByteString): ByteString {
  return text.replace(CONTROLS, hexEscape);
}

const CONTROLS = /[\x00-\x1f\x7f]/g;

function hexEscape(byte: string): string {
  return `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`;
}
