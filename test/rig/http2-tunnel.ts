/** WebSockets over streams of HTTP/2 connections (RFC 8441), as bytes in the hands of a test. */
import type { ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { nextTurn, within } from "./deadline.ts";
import type { Opening, OpeningOptions } from "./fronts.ts";
import { connectHttp2, type Http2Client, type Http2Options } from "./http2-client.ts";
import { Inbox } from "./inbox.ts";
import type { BytePeer } from "./websocket-peer.ts";

/** RFC 9113 section 7. */
const CANCEL = 8;

/** A stream as a connection: END_STREAM is its FIN, RST_STREAM its RST. */
class StreamPeer implements BytePeer {
  readonly inbox: Inbox;
  readonly #stream: ClientHttp2Stream;

  constructor(stream: ClientHttp2Stream, name: string) {
    this.#stream = stream;
    this.inbox = new Inbox(name);
    stream.on("data", (chunk: Buffer) => this.inbox.push(chunk));
    stream.on("end", () => {
      if (stream.rstCode === 0) this.inbox.finish("end");
    });
    stream.on("close", () =>
      this.inbox.finish(stream.rstCode === 0 ? "end" : `RST_STREAM ${stream.rstCode}`),
    );
  }

  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (typeof data === "string") this.#stream.write(data, "latin1", () => resolve());
      else this.#stream.write(data, () => resolve());
    });
  }

  end(): void {
    this.#stream.end();
  }

  /**
   * As browsers do it. Node's own `close(CANCEL)` sends END_STREAM before it, by `end`. In a turn of its own: whoever awaits
   * what a stream brings goes on from within nghttp2's reading, and a reset there damages the heap (src/listen/http2-reset.ts).
   */
  reset(): void {
    const stream = this.#stream;
    stream.end = () => stream;
    setImmediate(() => {
      stream.close(CANCEL);
      stream.destroy();
    });
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  async close(): Promise<void> {
    if (this.#stream.closed) return;
    const closed = new Promise<void>((resolve) => this.#stream.once("close", resolve));
    await nextTurn();
    this.#stream.close(CANCEL);
    await within(closed, "a stream to close");
  }
}

/** Opens tunnels on connections that each carry many, as a browser does it. */
export class Http2Tunnels {
  readonly #options: Http2Options;
  readonly #streamsMax: number;
  #connection: Promise<Http2Client> | null = null;
  #streams = 0;

  /** `streamsMax`: how many streams a connection carries before another one is opened. */
  constructor(options: Http2Options, streamsMax: number = 100) {
    this.#options = options;
    this.#streamsMax = streamsMax;
  }

  async open(target: string, { headers = {}, early = "" }: OpeningOptions = {}): Promise<Opening> {
    const connection = await this.#takeConnection();
    const stream = connection.open({
      "sec-websocket-version": "13",
      ...headers,
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": target,
    });
    const wire = new StreamPeer(stream, `a tunnel of ${target}`);
    if (early !== "") stream.write(early, "latin1");
    const response = await within(answerOn(stream), `an answer to ${target}`);
    const status = response[":status"] ?? 0;
    const isOpen = status === 200;
    const body = isOpen ? "" : await wire.inbox.toEnd();
    return {
      status,
      isOpen,
      header: (name) => {
        const value = response[name.toLowerCase()];
        return Array.isArray(value) ? value.join(", ") : value;
      },
      body,
      wire,
    };
  }

  /** The one in hand, unless it is full, or has been closed since: the rig closes what a test has opened. */
  #takeConnection(): Promise<Http2Client> {
    if (this.#connection === null || this.#streams >= this.#streamsMax) {
      const connection = connectHttp2(this.#options);
      const forget = (): void => {
        if (this.#connection === connection) this.#connection = null;
      };
      connection.then(({ closed }) => closed).then(forget, forget);
      this.#streams = 0;
      this.#connection = connection;
    }
    this.#streams++;
    return this.#connection;
  }
}

function answerOn(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders & IncomingHttpStatusHeader> {
  return new Promise((resolve, reject) => {
    stream.once("response", resolve);
    stream.once("close", () => reject(new Error(`the stream was reset with code ${stream.rstCode}`)));
  });
}
