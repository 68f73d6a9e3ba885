import { createDiagnostic, type Report } from "./diagnostic.ts";
import { createSourceFile, type SourceFile, type SourceOrigin } from "./position.ts";

/**
 * Makes a {@link SourceFile} of the bytes of a file, or of a text. The encoding is UTF-8; bytes that are none become
 * U+FFFD, which does no harm in comments and is an error in words. A byte order mark is taken off, with a warning,
 * since nginx takes it for a part of the first directive's name. A file in UTF-16 is refused as such: null.
 */
export function decodeSource(
  name: string,
  content: string | Uint8Array,
  origin: SourceOrigin,
  report: Report,
): SourceFile | null {
  const decoded = typeof content === "string" ? content : Buffer.from(content).toString("utf8");
  const hasMark = decoded.startsWith("\ufeff");
  const file = createSourceFile(name, hasMark ? decoded.slice(1) : decoded, {
    ...origin,
    isInvalidUtf8: typeof content !== "string" && isInvalidUtf8(content, decoded),
  });
  const start = { file, line: 1, column: 1, length: 0 };
  if (typeof content !== "string" && isUtf16(content)) {
    report(
      createDiagnostic({
        code: "utf-16",
        message: "the file is encoded in UTF-16",
        span: start,
        suggestion: "save it as UTF-8",
      }),
    );
    return null;
  }
  if (hasMark) {
    report(
      createDiagnostic({
        severity: "warn",
        code: "byte-order-mark",
        message: "the file begins with a byte order mark, which is ignored",
        span: start,
        suggestion: "save it as UTF-8 without a byte order mark: nginx refuses it",
      }),
    );
  }
  return file;
}

function isInvalidUtf8(bytes: Uint8Array, decoded: string): boolean {
  return decoded.includes("\ufffd") && !Buffer.from(decoded).equals(bytes);
}

/** A byte order mark says so, or a NUL on the same side of each of the first two characters. */
function isUtf16(bytes: Uint8Array): boolean {
  const [a, b, c, d] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true;
  return (a === 0 && c === 0 && b !== 0) || (b === 0 && d === 0 && a !== 0);
}
