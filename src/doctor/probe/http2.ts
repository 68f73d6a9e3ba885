/** A WebSocket over HTTP/2 (RFC 8441): whether the server offers it, and whether it then works. */
import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import type { HandshakeOptions } from "./handshake.ts";
import type { Target } from "./url.ts";
import { connect, type Route } from "./wire.ts";

export interface Http2Step {
  /** The server's settings allow an extended CONNECT; browsers then use it where they have an HTTP/2 connection. */
  readonly offersConnect: boolean;
  /** The status of the answer to an extended CONNECT; null where none was sent, or none came. */
  readonly status: number | null;
  /** What went wrong instead; empty where nothing did. */
  readonly error: string;
  readonly ms: number;
}

/** For a route whose server chooses h2; null where no HTTP/2 connection comes about. */
export async function probeHttp2(
  route: Route,
  target: Target,
  options: HandshakeOptions,
  timeoutMs: number,
): Promise<Http2Step | null> {
  const startedMs = performance.now();
  const connected = await connect({ ...route, tls: { ...route.tls, ALPNProtocols: ["h2"] } }, timeoutMs);
  if (!connected.ok) return null;
  const session = connectHttp2(`https://${target.authority}`, { createConnection: () => connected.socket });
  session.on("error", () => {});
  try {
    const step = await withDeadline(askSession(session, target, options), timeoutMs);
    return { ...step, ms: performance.now() - startedMs };
  } finally {
    // What awaits Node's events goes on from within nghttp2's reading: see listen/http2-reset.ts.
    setImmediate(() => {
      session.destroy();
      // A session whose TLS was refused lets go of its socket without closing it.
      connected.socket.destroy();
    });
  }
}

type Answer = Omit<Http2Step, "ms">;

const NO_ANSWER: Answer = { offersConnect: false, status: null, error: "no answer in time" };

async function withDeadline(answer: Promise<Answer>, timeoutMs: number): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<Answer>((resolve) => {
    timer = setTimeout(() => resolve(NO_ANSWER), timeoutMs);
  });
  try {
    return await Promise.race([answer, expired]);
  } finally {
    clearTimeout(timer);
  }
}

async function askSession(
  session: ClientHttp2Session,
  target: Target,
  options: HandshakeOptions,
): Promise<Answer> {
  const offersConnect = await new Promise<boolean>((resolve) => {
    session.once("remoteSettings", (settings) => resolve(settings.enableConnectProtocol === true));
    session.once("close", () => resolve(false));
  });
  if (!offersConnect) return { offersConnect, status: null, error: "" };
  const own = Object.fromEntries(options.headers.map(([name, value]) => [name.toLowerCase(), value]));
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "CONNECT",
    ":protocol": "websocket",
    [constants.HTTP2_HEADER_SCHEME]: "https",
    [constants.HTTP2_HEADER_AUTHORITY]: target.authority,
    [constants.HTTP2_HEADER_PATH]: target.path,
    "sec-websocket-version": "13",
    ...(options.origin === null ? {} : { origin: options.origin }),
    ...(options.subprotocols.length === 0
      ? {}
      : { "sec-websocket-protocol": options.subprotocols.join(", ") }),
    ...own,
  });
  return new Promise((resolve) => {
    stream.once("response", (headers) => {
      setImmediate(() => stream.close(constants.NGHTTP2_CANCEL));
      resolve({ offersConnect, status: headers[":status"] ?? null, error: "" });
    });
    stream.on("error", (error) => resolve({ offersConnect, status: null, error: error.message }));
    stream.once("close", () => resolve({ offersConnect, status: null, error: "the stream was closed" }));
  });
}
