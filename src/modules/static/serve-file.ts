import { randomBytes } from "node:crypto";
import type { Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { ByteString } from "../../base/bytes.ts";
import { describeSystemError } from "../../base/errno.ts";
import { contentTypeOf } from "../../compile/content-type.ts";
import { filePath } from "../../compile/file-path.ts";
import { NEXT, type Outcome, PENDING } from "../../compile/outcome.ts";
import type { Request } from "../../compile/request.ts";
import { formatHttpDate } from "../../http/http-date.ts";
import { escapeUri } from "../../http/uri.ts";
import { type ByteRange, parseRanges } from "./ranges.ts";
import { type Piece, sendPieces } from "./send-file.ts";
import { evaluateConditions, type IfModifiedSince, ifRangeHolds, type Validators } from "./validators.ts";

export interface FileRules {
  readonly if_modified_since: IfModifiedSince;
  readonly max_ranges: number | null;
}

/** Answers with the file that the path stands for. Declines paths that end in a slash. */
export function serveFile(request: Request, rules: FileRules): Outcome {
  if (request.path.endsWith("/")) return NEXT;
  if (request.method !== "GET" && request.method !== "HEAD") {
    // An error page is served whatever the method was (ngx_http_static_handler declines POST to one as well).
    if (!request.isErrorPage) return { kind: "status", status: 405 };
  }
  void answerWithFile(request, rules);
  return PENDING;
}

async function answerWithFile(request: Request, rules: FileRules): Promise<void> {
  const path = filePath(request);
  let file: FileHandle;
  try {
    file = await open(Buffer.from(path, "latin1"), "r");
  } catch (error) {
    return request.resume(openFailure(request, path, error));
  }
  try {
    const outcome = await answerWithOpenFile(request, file, rules);
    if (outcome !== null) request.resume(outcome);
  } catch (error) {
    request.log("crit", `read() "${path}" failed (${describeSystemError(error)})`);
    request.resume({ kind: "status", status: 500 });
  } finally {
    await file.close();
  }
}

/** Null when the answer has been sent. */
async function answerWithOpenFile(
  request: Request,
  file: FileHandle,
  rules: FileRules,
): Promise<Outcome | null> {
  const stats = await file.stat();
  if (stats.isDirectory()) return redirectToFolder(request);
  if (!stats.isFile()) {
    request.log("crit", `"${filePath(request)}" is not a regular file`);
    return { kind: "status", status: 404 };
  }
  if (request.isFinished) return null;
  const validators = validatorsOf(request, stats);
  const condition = request.isErrorPage
    ? "go on"
    : evaluateConditions(request.head.headers, validators, rules.if_modified_since);
  if (condition === 412) return { kind: "status", status: 412 };
  const { response } = request;
  // An error page is not what was asked for: a client must not take its time for that of the other (nginx does so, too).
  if (!isErrorStatus(request))
    response.headers.append("Last-Modified", formatHttpDate(validators.modifiedMs));
  if (validators.etag !== null) response.headers.append("ETag", validators.etag);
  if (condition === 304) {
    response.status = 304;
    response.bodyLength = "none";
    request.sendHead();
    request.downstream.end(null);
    return null;
  }
  const ranges = rangesOf(request, stats.size, validators, rules);
  if (ranges === "unsatisfiable") {
    response.headers.clear();
    response.headers.append("Content-Range", `bytes */${stats.size}`);
    return { kind: "status", status: 416 };
  }
  const pieces = writeHead(request, stats.size, ranges);
  if (request.method === "HEAD" || (await sendPieces(request, file, pieces))) request.downstream.end(null);
  else if (!request.isFinished) request.downstream.abort();
  return null;
}

function isErrorStatus({ statusOverride }: Request): boolean {
  return statusOverride !== 0 && statusOverride !== 200;
}

function validatorsOf(request: Request, stats: Stats): Validators {
  const seconds = Math.floor(stats.mtimeMs / 1000);
  // nginx's form: time of modification and size, in hexadecimal.
  const etag = request.location.core.etag ? `"${seconds.toString(16)}-${stats.size.toString(16)}"` : null;
  return { etag, modifiedMs: seconds * 1000 };
}

function rangesOf(
  request: Request,
  size: number,
  validators: Validators,
  rules: FileRules,
): ReturnType<typeof parseRanges> {
  const { headers } = request.head;
  // Range has a meaning for GET alone (RFC 9110 section 14.2).
  if (request.method !== "GET" || request.statusOverride !== 0 || !ifRangeHolds(headers, validators))
    return "whole";
  return parseRanges(headers.get("range"), size, rules.max_ranges);
}

/** Sends the head and says what the body is made of. */
function writeHead(request: Request, size: number, ranges: readonly ByteRange[] | "whole"): readonly Piece[] {
  const { response } = request;
  const type = contentTypeOf(request);
  if (ranges === "whole") {
    response.status = 200;
    response.headers.append("Content-Type", type);
    if (!isErrorStatus(request)) response.headers.append("Accept-Ranges", "bytes");
    response.bodyLength = size;
    request.sendHead();
    return [{ start: 0, end: size }];
  }
  response.status = 206;
  const [only] = ranges;
  if (ranges.length === 1 && only !== undefined) {
    response.headers.append("Content-Type", type);
    response.headers.append("Content-Range", contentRange(only, size));
    response.bodyLength = only.end - only.start;
    request.sendHead();
    return [only];
  }
  return writeMultipartHead(request, ranges, type, size);
}

/** Several ranges are the parts of a multipart body (RFC 9110 section 14.6). */
function writeMultipartHead(
  request: Request,
  ranges: readonly ByteRange[],
  type: ByteString,
  size: number,
): readonly Piece[] {
  const boundary = randomBytes(10).toString("hex");
  const pieces: Piece[] = [];
  for (const range of ranges) {
    pieces.push(
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`,
      range,
    );
  }
  pieces.push(`\r\n--${boundary}--\r\n`);
  const { response } = request;
  response.headers.append("Content-Type", `multipart/byteranges; boundary=${boundary}`);
  response.bodyLength = pieces.reduce(
    (sum, piece) => sum + (typeof piece === "string" ? piece.length : piece.end - piece.start),
    0,
  );
  request.sendHead();
  return pieces;
}

function contentRange(range: ByteRange, size: number): ByteString {
  return `bytes ${range.start}-${range.end - 1}/${size}`;
}

function redirectToFolder(request: Request): Outcome {
  const query = request.args === "" ? "" : `?${request.args}`;
  return { kind: "redirect", status: 301, location: `${escapeUri(request.path, "uri")}/${query}` };
}

/** ngx_http_static_handler: what is missing is 404, what may not be read 403, the rest our own fault. */
function openFailure(request: Request, path: ByteString, error: unknown): Outcome {
  const code = error instanceof Error && "code" in error ? error.code : null;
  const message = `open() "${path}" failed (${describeSystemError(error)})`;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
    case "ENAMETOOLONG":
      if (request.location.core.log_not_found) request.log("error", message);
      return { kind: "status", status: 404 };
    case "EACCES":
    case "ELOOP":
      request.log("error", message);
      return { kind: "status", status: 403 };
    default:
      request.log("crit", message);
      return { kind: "status", status: 500 };
  }
}
