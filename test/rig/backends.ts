/** Upstreams for tests: each listens on an ephemeral port of 127.0.0.1 (or where told) and remembers what it got. */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { type WebSocket, WebSocketServer, type ServerOptions as WebSocketServerOptions } from "ws";
import { within } from "./deadline.ts";
import { type HttpRequest, readRequest } from "./http-message.ts";
import { obtain } from "./ledger.ts";
import { reservePort } from "./ports.ts";
import { RawPeer } from "./raw-peer.ts";

export interface Backend {
  readonly port: number;
  /** As `server` and `proxy_pass` want it: `127.0.0.1:PORT`, `[::1]:PORT` or `unix:/path`. */
  readonly address: string;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

export interface BackendOptions {
  readonly host?: string;
  readonly port?: number;
  /** Listens on this Unix socket instead. */
  readonly path?: string;
  readonly tls?: TlsOptions;
}

// Raw TCP

/** Answers one request: bytes, pieces sent in writes of their own, or a function that does what it likes. */
export type RawAnswer =
  | string
  | readonly string[]
  | ((request: HttpRequest, peer: RawPeer) => Promise<void> | void);

export interface RawBackend extends Backend {
  /** Every complete request, in order of arrival. */
  readonly requests: readonly HttpRequest[];
  /** Every connection that was accepted; `inbox.received` has all of its bytes. */
  readonly connections: readonly RawPeer[];
  /** The connection with that index, as soon as it has been accepted. */
  connection(index: number): Promise<RawPeer>;
}

/** Reads HTTP requests and answers the n-th with `answers[n]`, the last answer serving all further ones. */
export function startRawBackend(
  answers: RawAnswer | readonly RawAnswer[],
  options: BackendOptions = {},
): Promise<RawBackend> {
  const list = isListOfAnswers(answers) ? answers : [answers];
  const requests: HttpRequest[] = [];
  return startConnectionBackend(
    async (peer) => {
      for (;;) {
        const request = await readRequest(peer);
        requests.push(request);
        const answer = list[Math.min(requests.length, list.length) - 1];
        if (typeof answer === "function") await answer(request, peer);
        else await peer.sendPieces(typeof answer === "string" ? [answer] : (answer ?? []));
      }
    },
    options,
    requests,
  );
}

/** An array is a list of answers, unless it is all text: then it is one answer in pieces. */
function isListOfAnswers(answers: RawAnswer | readonly RawAnswer[]): answers is readonly RawAnswer[] {
  return Array.isArray(answers) && answers.some((answer) => typeof answer !== "string");
}

/** Hands every accepted connection to `serve`; when that returns or throws, the connection stays as it is. */
export async function startConnectionBackend(
  serve: (peer: RawPeer, index: number) => Promise<void> | void,
  options: BackendOptions = {},
  requests: readonly HttpRequest[] = [],
): Promise<RawBackend> {
  const connections: RawPeer[] = [];
  let wake: (() => void)[] = [];
  const onConnection = (socket: Socket): void => {
    const peer = new RawPeer(socket, "the proxy");
    connections.push(peer);
    for (const resolve of wake) resolve();
    wake = [];
    // A script ends when its connection does: that shows in the connection and is the test's to judge.
    Promise.resolve(serve(peer, connections.length - 1)).catch(() => {});
  };
  const server =
    options.tls === undefined
      ? createTcpServer({ allowHalfOpen: true }, onConnection)
      : createTlsServer({ ...options.tls, allowHalfOpen: true }, onConnection);
  const backend = await listen(server, "a raw backend", options);
  return {
    ...backend,
    requests,
    connections,
    async connection(index) {
      const accepted = async (): Promise<RawPeer> => {
        for (;;) {
          const peer = connections[index];
          if (peer !== undefined) return peer;
          await new Promise<void>((resolve) => wake.push(resolve));
        }
      };
      return await within(accepted(), `connection ${index} to the backend`);
    },
  };
}

/** The ways in which an upstream can fail. */
export type Fault =
  /** Nobody listens. */
  | "refuse"
  /** Resets the connection as soon as it is accepted. */
  | "reset"
  /** Resets the connection once a request has arrived. */
  | "reset-after-request"
  /** Ends the connection in order, without a byte, once a request has arrived. */
  | "close"
  /** Accepts, reads, and never says anything. */
  | "hang"
  /** Answers with bytes that are not HTTP. */
  | "garbage"
  /** Ends the connection in the middle of the response's head. */
  | "half-head"
  /** Ends the connection after half of the body that Content-Length promised. */
  | "half-body"
  /** Ends the connection in the middle of a chunk. */
  | "half-chunk";

const FAULTY_ANSWERS: Readonly<Record<Exclude<Fault, "refuse" | "reset">, RawAnswer>> = {
  "reset-after-request": (_request, peer) => peer.reset(),
  close: (_request, peer) => peer.end(),
  hang: () => {},
  garbage: "\x16\x03\x01\x00\xfaSSH-2.0-garbage\r\n\r\n\x00\xff",
  "half-head": endAfter("HTTP/1.1 200 OK\r\nContent-Ty"),
  "half-body": endAfter("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
  "half-chunk": endAfter("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"),
};

function endAfter(bytes: string): RawAnswer {
  return async (_request, peer) => {
    await peer.send(bytes);
    peer.end();
  };
}

export async function startFaultyBackend(fault: Fault, options: BackendOptions = {}): Promise<RawBackend> {
  if (fault === "refuse") {
    const port = await reservePort();
    return {
      port,
      address: `127.0.0.1:${port}`,
      requests: [],
      connections: [],
      connection: () => Promise.reject(new Error("a refusing backend has no connections")),
      close: () => Promise.resolve(),
    };
  }
  if (fault === "reset") return startConnectionBackend((peer) => peer.reset(), options);
  return startRawBackend([FAULTY_ANSWERS[fault], FAULTY_ANSWERS[fault]], options);
}

// HTTP

/** What the HTTP backend saw of a request, and what it answers with as JSON unless a handler answers. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names and values as they were sent, alternating. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface HttpBackend extends Backend {
  readonly requests: readonly SeenRequest[];
}

export type HttpHandler = (seen: SeenRequest, response: ServerResponse) => void;

export async function startHttpBackend(
  handler: HttpHandler = answerWithEcho,
  options: BackendOptions = {},
): Promise<HttpBackend> {
  const requests: SeenRequest[] = [];
  const server = createNodeServer(options, (request, response) => {
    collectRequest(request, (seen) => {
      requests.push(seen);
      handler(seen, response);
    });
  });
  return { ...(await listen(server, "an HTTP backend", options)), requests };
}

function createNodeServer(
  options: BackendOptions,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): HttpServer {
  return options.tls === undefined ? createHttpServer(onRequest) : createHttpsServer(options.tls, onRequest);
}

function answerWithEcho(seen: SeenRequest, response: ServerResponse): void {
  const body = JSON.stringify(seen);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function collectRequest(request: IncomingMessage, onComplete: (seen: SeenRequest) => void): void {
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString("latin1");
  });
  // The other side went away in the middle of its request: there is nothing to answer.
  request.on("error", () => {});
  request.on("end", () => onComplete(seenRequest(request, body)));
}

function seenRequest(request: IncomingMessage, body: string): SeenRequest {
  const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [
    name,
    Array.isArray(value) ? value.join(", ") : (value ?? ""),
  ]);
  return {
    method: request.method ?? "",
    url: request.url ?? "",
    httpVersion: request.httpVersion,
    headers: Object.fromEntries(headers),
    rawHeaders: request.rawHeaders,
    body,
  };
}

// WebSocket

export interface WebSocketBackend extends HttpBackend {
  /** The opening handshakes that were accepted, in order. */
  readonly handshakes: readonly SeenRequest[];
  /** The open and closed connections, in the order of {@link handshakes}. */
  readonly sockets: readonly WebSocket[];
}

/** Echoes every WebSocket message, and answers plain requests with what it saw as JSON, like the HTTP backend. */
export async function startWebSocketBackend(
  options: BackendOptions & {
    readonly webSocket?: WebSocketServerOptions;
    /** Instead of the echo. */
    readonly onSocket?: (socket: WebSocket, handshake: SeenRequest) => void;
  } = {},
): Promise<WebSocketBackend> {
  const requests: SeenRequest[] = [];
  const handshakes: SeenRequest[] = [];
  const sockets: WebSocket[] = [];
  const server = createNodeServer(options, (request, response) => {
    collectRequest(request, (seen) => {
      requests.push(seen);
      answerWithEcho(seen, response);
    });
  });
  const webSockets = new WebSocketServer({ ...options.webSocket, server });
  webSockets.on("connection", (socket, request) => {
    const handshake = seenRequest(request, "");
    handshakes.push(handshake);
    sockets.push(socket);
    // A broken connection ends in a close event with 1006, which is where tests look.
    socket.on("error", () => {});
    if (options.onSocket === undefined)
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    else options.onSocket(socket, handshake);
  });
  return { ...(await listen(server, "a WebSocket backend", options)), requests, handshakes, sockets };
}

// What they share

async function listen(server: Server, name: string, options: BackendOptions): Promise<Backend> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  };
  server.on("connection", track);
  const host = options.host ?? "127.0.0.1";
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(
      options.path === undefined ? { host, port: options.port ?? 0 } : { path: options.path },
      resolve,
    );
  });
  const close = obtain(name, async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await within(closed, `${name} to close`);
  });
  const address = server.address();
  if (typeof address === "string" || address === null)
    return { port: 0, address: `unix:${options.path}`, close };
  return { port: address.port, address: printAddress(address), close };
}

function printAddress({ family, address, port }: AddressInfo): string {
  return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}
