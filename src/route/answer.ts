import type { ByteString } from "../base/bytes.ts";
import { contentTypeOf } from "../compile/content-type.ts";
import type { Outcome } from "../compile/outcome.ts";
import type { ErrorPage } from "../compile/plan.ts";
import type { Request } from "../compile/request.ts";
import { HeaderList } from "../http/header-list.ts";
import { absoluteLocation } from "../compile/absolute-location.ts";
import { errorPageBody } from "./error-page-body.ts";

type Final = Extract<Outcome, { kind: "status" | "answer" | "redirect" }>;

/** nginx's own status for "close without a word". */
const CLOSE_WITHOUT_ANSWER = 444;
/** The client is gone: there is nobody to answer. */
const CLIENT_CLOSED_REQUEST = 499;
/** After these nginx gives up the connection, since what follows on it cannot be trusted or is not worth waiting for. */
const CLOSING_STATUSES: ReadonlySet<number> = new Set([400, 413, 414, 494, 495, 496, 497, 500, 501]);
/** Statuses of nginx's own that clients are not shown. */
const SHOWN_STATUS: ReadonlyMap<number, number> = new Map([
  [494, 400],
  [495, 400],
  [496, 400],
  [497, 400],
]);

/** Ends a request with a status and its standard page, or its error_page where one is configured for it. */
export function answerStatus(request: Request, status: number): void {
  request.resume({ kind: "status", status });
}

/** Gives the final answer, or says where an error_page leads instead. */
export function answer(request: Request, outcome: Final): Outcome | null {
  const { status } = outcome;
  if (request.response.headSent) {
    // Too late to say anything: the client has to see that what it got is not all.
    request.downstream.abort();
    return null;
  }
  if (status === CLOSE_WITHOUT_ANSWER || status === CLIENT_CLOSED_REQUEST) {
    request.response.status = status;
    request.isClientLost = true;
    request.downstream.abort();
    return null;
  }
  if (CLOSING_STATUSES.has(status)) request.response.closeAfter = true;
  if (outcome.kind === "answer" && outcome.body !== null) {
    sendText(request, status, outcome.contentType, outcome.body, outcome.headers);
    return null;
  }
  const page = status >= 300 ? findErrorPage(request, status) : undefined;
  if (page !== undefined) return toErrorPage(request, page, status);
  sendStandardPage(request, outcome);
  return null;
}

function findErrorPage(request: Request, status: number): ErrorPage | undefined {
  const { core } = request.location;
  if (request.isErrorPage && !core.recursive_error_pages) return undefined;
  return core.error_page.find((page) => page.statuses.includes(status));
}

/** ngx_http_send_error_page: to a path inside, a named location, or by a redirect to another place. */
function toErrorPage(request: Request, page: ErrorPage, status: number): Outcome {
  request.isErrorPage = true;
  const target = page.target.render(request);
  const shown = SHOWN_STATUS.get(status) ?? status;
  if (target.startsWith("/") || target.startsWith("@")) {
    request.statusOverride = page.overwrite === "page" ? 0 : (page.overwrite ?? shown);
    dropHeaders(request);
    if (target.startsWith("@")) return { kind: "named", name: target };
    if (request.method !== "HEAD") request.method = "GET";
    const question = target.indexOf("?");
    if (question < 0) return { kind: "internal", path: target, args: null };
    return { kind: "internal", path: target.slice(0, question), args: target.slice(question + 1) };
  }
  const redirectStatus =
    typeof page.overwrite === "number" && [301, 302, 303, 307, 308].includes(page.overwrite)
      ? page.overwrite
      : 302;
  return { kind: "redirect", status: redirectStatus, location: target };
}

/** The page is another answer; only the challenge of a 401 goes with whatever page that gets. */
function dropHeaders({ response }: Request): void {
  const challenge = response.headers.get("www-authenticate");
  response.headers = new HeaderList();
  if (challenge !== undefined) response.headers.append("WWW-Authenticate", challenge);
}

function sendStandardPage(request: Request, outcome: Final): void {
  const status = SHOWN_STATUS.get(outcome.status) ?? outcome.status;
  const headers: [string, ByteString][] =
    outcome.kind === "answer" ? outcome.headers.map(([n, v]) => [n, v]) : [];
  if (outcome.kind === "redirect") headers.push(["Location", absoluteLocation(request, outcome.location)]);
  const body = errorPageBody(outcome.status, request.location.core.server_tokens);
  if (body === null) sendBodiless(request, status, headers);
  else sendText(request, status, "text/html", body, headers);
}

function sendBodiless(
  request: Request,
  status: number,
  headers: readonly (readonly [string, ByteString])[],
): void {
  const { response } = request;
  response.status = status;
  for (const [name, value] of headers) response.headers.append(name, value);
  // 204 and 304 have no body by definition (RFC 9110 sections 15.3.5 and 15.4.5); others have an empty one.
  response.bodyLength = status === 204 || status === 304 ? "none" : 0;
  request.sendHead();
  request.downstream.end(null);
}

/** A complete answer; the body of one that may have none (204) is left out with its type. */
function sendText(
  request: Request,
  status: number,
  contentType: ByteString | null,
  body: ByteString,
  headers: readonly (readonly [string, ByteString])[],
): void {
  if (status === 204) return sendBodiless(request, status, headers);
  const { response } = request;
  response.status = status;
  response.headers.append("Content-Type", contentType ?? contentTypeOf(request));
  for (const [name, value] of headers) response.headers.append(name, value);
  response.bodyLength = Buffer.byteLength(body, "latin1");
  request.sendHead();
  const bytes = Buffer.from(body, "latin1");
  request.downstream.write(bytes, 0, bytes.length);
  request.downstream.end(null);
}
