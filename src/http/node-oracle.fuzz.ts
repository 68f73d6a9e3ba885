import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import type { Reading, SeenMessage } from "./readings.fuzz.ts";

/** Node's own HTTP parser as an oracle, fed through streams that never touch the network. */

/** llhttp's name for bytes after a request that asked for the connection to be closed: no fault of theirs. */
const AFTER_CLOSE = "HPE_CLOSED_CONNECTION";

/** Reads requests with Node's server. One at a time. */
export class NodeServerOracle {
  readonly #server: Server;
  #messages: SeenMessage[] = [];
  #refused: string | null = null;

  constructor() {
    this.#server = createServer({ maxHeaderSize: 1 << 20, requireHostHeader: true });
    this.#server.maxHeadersCount = 0;
    const serverOnRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
      this.#messages.push(
        record(incoming, `${incoming.method} ${incoming.url} HTTP/${incoming.httpVersion}`),
      );
      response.end();
    };
    const serverOnClientError = (error: NodeJS.ErrnoException): void => {
      if (error.code !== AFTER_CLOSE) this.#refused ??= error.code ?? error.message;
    };
    for (const event of ["request", "checkContinue", "checkExpectation"]) {
      this.#server.on(event, serverOnRequest);
    }
    this.#server.on("clientError", serverOnClientError);
  }

  /** Reads pipelined requests; the stream does not end. */
  async read(input: Buffer): Promise<Reading> {
    this.#messages = [];
    this.#refused = null;
    const connection = silentStream();
    this.#server.emit("connection", connection);
    connection.push(input);
    await settled();
    connection.destroy();
    return { messages: this.#messages, refused: this.#refused };
  }
}

/** Reads one response to a request of method `method` with Node's client; the connection ends with the input. */
export async function readResponseWithNode(method: string, input: Buffer): Promise<Reading> {
  const messages: SeenMessage[] = [];
  let refused: string | null = null;
  const connection = silentStream();
  const outgoing = request({
    method,
    createConnection: () => connection,
    maxHeaderSize: 1 << 20,
  });
  outgoing.on("response", (incoming) => {
    const line = `HTTP/${incoming.httpVersion} ${incoming.statusCode} ${incoming.statusMessage}`;
    const seen = record(incoming, line);
    messages.push(seen);
    incoming.on("error", () => {
      refused ??= "aborted";
    });
  });
  outgoing.on("error", (error: NodeJS.ErrnoException) => {
    refused ??= error.code ?? error.message;
  });
  outgoing.end();
  connection.push(input);
  connection.push(null);
  await settled();
  connection.destroy();
  // Once the response is whole, what Node says about the bytes after it is about another message.
  return { messages, refused: messages[0]?.complete === true ? null : refused };
}

function record(incoming: IncomingMessage, startLine: string): SeenMessage {
  const seen: SeenMessage = {
    startLine,
    headers: incoming.rawHeaders,
    body: "",
    trailers: [],
    complete: false,
  };
  incoming.on("data", (chunk: Buffer) => {
    seen.body += chunk.toString("latin1");
  });
  incoming.on("end", () => {
    seen.trailers = incoming.rawTrailers;
    seen.complete = true;
  });
  incoming.on("error", () => undefined);
  return seen;
}

/** A connection whose other end only speaks. */
function silentStream(): Duplex {
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  stream.on("error", () => undefined);
  return stream;
}

/** Node's streams deliver what they hold within a few turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
