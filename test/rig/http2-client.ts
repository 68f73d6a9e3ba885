/** A client of HTTP/2: Node's, with a WebSocket's way through it (RFC 8441). */
import { createHash } from "node:crypto";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
  type Settings,
} from "node:http2";
import { Duplex } from "node:stream";
import { nextTurn, within } from "./deadline.ts";
import { obtain } from "./ledger.ts";

export interface Http2Options {
  readonly port: number;
  /** The PEM certificate to trust: TLS. Without it, plain with prior knowledge. */
  readonly ca?: string;
  /** For `:authority`, and with TLS for SNI. Default: localhost. */
  readonly host?: string;
  /** Windows and the like. */
  readonly settings?: Settings;
}

export interface Http2Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** latin1: one character, one byte. */
  readonly body: string;
  readonly trailers: IncomingHttpHeaders;
}

export interface Http2Client {
  readonly session: ClientHttp2Session;
  /** Whether the server takes extended CONNECT. */
  readonly takesWebSockets: boolean;
  /** A GET unless `headers` say otherwise; rejects when the stream is reset. */
  request(headers?: OutgoingHttpHeaders, body?: string | Buffer): Promise<Http2Response>;
  /** A stream whose request is begun and may be written to: `{ ":method": "POST" }`. */
  open(headers: OutgoingHttpHeaders): ClientHttp2Stream;
  /** What an HTTP/1.1 WebSocket client may take for its socket: see `http2` in websocket-clients.ts. */
  bridge(): Duplex;
  /** GOAWAY's code, and the end of the connection. */
  readonly goneAway: Promise<number>;
  readonly closed: Promise<void>;
}

/** A session whose settings have been exchanged. Rejects where there is no HTTP/2. */
export async function connectHttp2(options: Http2Options): Promise<Http2Client> {
  const { port, ca, host = "localhost", settings } = options;
  const scheme = ca === undefined ? "http" : "https";
  const session = connect(`${scheme}://127.0.0.1:${port}`, {
    servername: host,
    // In MB. What a test writes all at once is held here, and Node refuses streams of its own above 10.
    maxSessionMemory: 1024,
    ...(ca === undefined ? {} : { ca }),
    ...(settings === undefined ? {} : { settings }),
  });
  const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
  const goneAway = new Promise<number>((resolve) => session.once("goaway", resolve));
  obtain(`an HTTP/2 connection to port ${port}`, async () => {
    await nextTurn();
    session.destroy();
    await within(closed, "an HTTP/2 session to close");
  });
  const ready = new Promise<Settings>((resolve, reject) => {
    session.once("remoteSettings", resolve);
    session.on("error", reject);
    session.once("close", () => reject(new Error("the session closed before its settings came")));
  });
  const { enableConnectProtocol } = await within(ready, `HTTP/2 from port ${port}`);
  const pseudo = { ":scheme": scheme, ":authority": `${host}:${port}`, ":path": "/" };
  const open = (headers: OutgoingHttpHeaders): ClientHttp2Stream => {
    const isPlainConnect = headers[":method"] === "CONNECT" && headers[":protocol"] === undefined;
    const stream = session.request(
      isPlainConnect ? { ":authority": pseudo[":authority"], ...headers } : { ...pseudo, ...headers },
      { endStream: false },
    );
    stream.on("error", () => {});
    return stream;
  };
  return {
    session,
    takesWebSockets: enableConnectProtocol === true,
    open,
    request: (headers = {}, body = "") => {
      const stream = open(headers);
      stream.end(body);
      return within(readHttp2Response(stream), `an answer to ${String(headers[":path"] ?? "/")}`);
    },
    bridge: () => new Bridge(open),
    goneAway: within(goneAway, "GOAWAY").catch(() => -1),
    closed,
  };
}

/** The whole answer; rejects when the stream is reset before its end. */
export function readHttp2Response(stream: ClientHttp2Stream): Promise<Http2Response> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
    let trailers: IncomingHttpHeaders = {};
    let body = "";
    stream.on("response", (received) => (headers = received));
    stream.on("trailers", (received) => (trailers = received));
    stream.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")));
    stream.on("close", () => {
      const status = headers[":status"];
      const isWhole = stream.rstCode === 0 && status !== undefined;
      if (isWhole) resolve({ status, headers, body, trailers });
      else reject(new Error(`the stream was reset with code ${stream.rstCode} after ${body.length} bytes`));
    });
  });
}

/**
 * Lets a WebSocket client that knows HTTP/1.1 alone speak over a stream: its opening handshake becomes an extended
 * CONNECT, and what answers that becomes a 101. From then on bytes pass as they are.
 */
class Bridge extends Duplex {
  readonly #open: (headers: OutgoingHttpHeaders) => ClientHttp2Stream;
  #head = "";
  #stream: ClientHttp2Stream | null = null;

  constructor(open: (headers: OutgoingHttpHeaders) => ClientHttp2Stream) {
    super({ allowHalfOpen: true });
    this.#open = open;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.#stream !== null) {
      this.#stream.write(chunk, () => done());
      return;
    }
    this.#head += chunk.toString("latin1");
    if (this.#head.includes("\r\n\r\n")) this.#connect();
    done();
  }

  override _read(): void {
    this.#stream?.resume();
  }

  override _final(done: () => void): void {
    this.#stream?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // Not from within nghttp2's reading, see StreamPeer.
    setImmediate(() => this.#stream?.close(8));
    done(error);
  }

  // What http.request asks of a socket.
  setNoDelay(): void {}
  setKeepAlive(): void {}
  setTimeout(): void {}

  #connect(): void {
    const [line = "", ...lines] = this.#head.split("\r\n").filter((each) => each !== "");
    const fields = new Map(
      lines.map((each) => [
        each.slice(0, each.indexOf(":")).toLowerCase(),
        each.slice(each.indexOf(":") + 1).trim(),
      ]),
    );
    const key = fields.get("sec-websocket-key") ?? "";
    for (const name of ["host", "upgrade", "connection", "sec-websocket-key"]) fields.delete(name);
    const stream = this.#open({
      ...Object.fromEntries(fields),
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": line.split(" ")[1] ?? "/",
    });
    this.#stream = stream;
    stream.on("response", (headers) => this.#answer(headers, key));
    stream.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause();
    });
    stream.on("end", () => this.push(null));
    stream.on("aborted", () => this.destroy(Object.assign(new Error("reset"), { code: "ECONNRESET" })));
    stream.on("close", () => {
      if (stream.rstCode !== 0) this.destroy(new Error(`the stream was reset with code ${stream.rstCode}`));
    });
  }

  #answer(headers: IncomingHttpHeaders & IncomingHttpStatusHeader, key: string): void {
    const status = headers[":status"] ?? 0;
    const fields = Object.entries(headers).filter(([name]) => !name.startsWith(":"));
    if (status === 200) {
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      fields.push(["upgrade", "websocket"], ["connection", "Upgrade"], ["sec-websocket-accept", accept]);
    } else {
      fields.push(["connection", "close"]);
    }
    const lines = fields.map(([name, value]) => `${name}: ${String(value)}\r\n`);
    this.push(Buffer.from(`HTTP/1.1 ${status === 200 ? 101 : status} \r\n${lines.join("")}\r\n`, "latin1"));
  }
}
