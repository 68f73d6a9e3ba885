/** Reads HTTP/1.1 messages off a raw connection for tests: just enough of the grammar, and the raw head kept. */
import type { RawPeer } from "./raw-peer.ts";

export interface HttpMessage {
  /** The start line and header lines as they came, with the empty line at the end. */
  readonly head: string;
  readonly startLine: string;
  /** Names as they were spelled, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The value of a header by its name in any case, several joined by ", "; undefined where there is none. */
  header(name: string): string | undefined;
  /** The body with its transfer coding removed. */
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface HttpRequest extends HttpMessage {
  readonly method: string;
  readonly target: string;
}

export interface HttpResponse extends HttpMessage {
  readonly status: number;
  readonly reason: string;
  /** 1xx responses that came before, 101 excepted, which is a final answer here. */
  readonly interim: readonly HttpMessage[];
}

type HeaderList = [name: string, value: string][];

/** The next request; rejects when the connection ends first. */
export async function readRequest(peer: RawPeer): Promise<HttpRequest> {
  const head = parseHead(await peer.until(/\r?\n\r?\n/));
  const [method = "", target = ""] = head.startLine.split(" ");
  const framed = await readBody(peer, head, { isToEnd: false });
  return { ...head, ...framed, method, target };
}

/** The next final response. `method` is the request's: an answer to HEAD has no body, one to CONNECT begins a tunnel. */
export async function readResponse(peer: RawPeer, method: string = "GET"): Promise<HttpResponse> {
  const interim: HttpMessage[] = [];
  for (;;) {
    const head = parseHead(await peer.until(/\r?\n\r?\n/));
    const status = Number(head.startLine.slice(9, 12));
    if (status >= 100 && status < 200 && status !== 101) {
      interim.push({ ...head, body: "", trailers: [] });
      continue;
    }
    const hasBody = method !== "HEAD" && status >= 200 && status !== 204 && status !== 304;
    const framed = hasBody ? await readBody(peer, head, { isToEnd: true }) : { body: "", trailers: [] };
    return { ...head, ...framed, status, reason: head.startLine.slice(13), interim };
  }
}

type Head = Pick<HttpMessage, "head" | "startLine" | "headers" | "header">;

function parseHead(head: string): Head {
  const [startLine = "", ...lines] = head.split(/\r?\n/);
  const headers = parseHeaderLines(lines);
  return {
    head,
    startLine,
    headers,
    header(name) {
      const values = headers.filter(([key]) => key.toLowerCase() === name.toLowerCase());
      return values.length === 0 ? undefined : values.map(([, value]) => value).join(", ");
    },
  };
}

function parseHeaderLines(lines: readonly string[]): HeaderList {
  const headers: HeaderList = [];
  for (const line of lines) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return headers;
}

async function readBody(
  peer: RawPeer,
  head: Head,
  without: { readonly isToEnd: boolean },
): Promise<Pick<HttpMessage, "body" | "trailers">> {
  if (head.header("transfer-encoding")?.toLowerCase() === "chunked") return readChunked(peer);
  const length = head.header("content-length");
  if (length !== undefined) return { body: await peer.bytes(Number(length)), trailers: [] };
  return { body: without.isToEnd ? await peer.toEnd() : "", trailers: [] };
}

async function readChunked(peer: RawPeer): Promise<Pick<HttpMessage, "body" | "trailers">> {
  let body = "";
  for (;;) {
    const sizeLine = await peer.until("\r\n");
    const size = Number.parseInt(sizeLine, 16);
    if (Number.isNaN(size)) throw new Error(`no chunk size: ${JSON.stringify(sizeLine)}`);
    if (size === 0) break;
    body += await peer.bytes(size);
    await peer.exactly("\r\n");
  }
  const lines: string[] = [];
  for (;;) {
    const line = await peer.until("\r\n");
    if (line === "\r\n") return { body, trailers: parseHeaderLines(lines) };
    lines.push(line.slice(0, -2));
  }
}
