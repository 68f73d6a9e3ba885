import { type ByteString, byteStringFromText } from "../../base/bytes.ts";

/** The request that is asked about. */
export interface Question {
  readonly url: string;
  readonly scheme: "http" | "https";
  readonly isWebSocket: boolean;
  /** As it stands in the URL: a name in its A-label form, or an address; IPv6 without brackets. */
  readonly host: string;
  /** The port in the URL, or the scheme's. */
  readonly port: number;
  /** The port that the proxy listens on: another one where something before it, such as a container's host, maps it. */
  readonly listenPort: number;
  readonly clientAddress: string;
  /** The request's head, as it comes over the wire. */
  readonly head: ByteString;
}

/** What the command line adds to the URL. */
export interface QuestionOptions {
  readonly method?: string;
  /** `Name: value`, in place of what would be sent under that name. */
  readonly headers?: readonly string[];
  readonly listenPort?: number;
  readonly clientAddress?: string;
}

export type QuestionResult =
  | { readonly ok: true; readonly question: Question }
  | { readonly ok: false; readonly message: string };

const SCHEMES: ReadonlyMap<string, { readonly scheme: "http" | "https"; readonly isWebSocket: boolean }> =
  new Map([
    ["ws:", { scheme: "http", isWebSocket: true }],
    ["wss:", { scheme: "https", isWebSocket: true }],
    ["http:", { scheme: "http", isWebSocket: false }],
    ["https:", { scheme: "https", isWebSocket: false }],
  ]);

/** The key of RFC 6455 section 1.3: any would do, and the same every time makes answers that can be compared. */
const SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** Makes the request that a browser would send for a URL. */
export function askAbout(text: string, options: QuestionOptions = {}): QuestionResult {
  if (!URL.canParse(text)) return { ok: false, message: `"${text}" is no URL` };
  const url = new URL(text);
  const known = SCHEMES.get(url.protocol);
  if (known === undefined)
    return {
      ok: false,
      message: `a URL here begins with ws://, wss://, http:// or https://, not ${url.protocol}//`,
    };
  if (url.hash !== "" && known.isWebSocket)
    return {
      ok: false,
      message: "the URL of a WebSocket has no fragment: browsers refuse it (RFC 6455 section 3)",
    };
  const lines = readHeaders(options.headers ?? []);
  if (typeof lines === "string") return { ok: false, message: lines };
  const { scheme, isWebSocket } = known;
  const port = url.port === "" ? (scheme === "https" ? 443 : 80) : Number(url.port);
  const defaults: [string, string][] = [["Host", url.host]];
  if (isWebSocket) {
    defaults.push(
      ["Connection", "Upgrade"],
      ["Upgrade", "websocket"],
      ["Sec-WebSocket-Version", "13"],
      ["Sec-WebSocket-Key", SAMPLE_KEY],
      ["Origin", `${scheme}://${url.host}`],
    );
  }
  const given = new Set(lines.map(([name]) => name.toLowerCase()));
  // An empty value takes a header away.
  const headers = [...defaults.filter(([name]) => !given.has(name.toLowerCase())), ...lines].filter(
    ([, value]) => value !== "",
  );
  const method = options.method ?? "GET";
  const head = [
    `${method} ${targetAsWritten(text, url)} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    "",
    "",
  ].join("\r\n");
  return {
    ok: true,
    question: {
      url: text,
      scheme,
      isWebSocket,
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port,
      listenPort: options.listenPort ?? port,
      clientAddress: options.clientAddress ?? "127.0.0.1",
      head: byteStringFromText(head),
    },
  };
}

/** Path and query as a browser sends them: dots resolved, spaces and letters beyond ASCII escaped. */
function targetAsWritten(text: string, url: URL): string {
  const isBareQuestion = url.search === "" && text.replace(/#.*$/s, "").endsWith("?");
  return url.pathname + (isBareQuestion ? "?" : url.search);
}

function readHeaders(lines: readonly string[]): [string, string][] | string {
  const headers: [string, string][] = [];
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)$/.exec(line);
    if (match === null) return `a header is written "Name: value", not "${line}"`;
    headers.push([match[1] ?? "", (match[2] ?? "").trim()]);
  }
  return headers;
}
