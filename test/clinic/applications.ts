/** Programs behind the proxies: WebSocket servers that differ in how they answer an ordinary GET, and faulty ones. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import { type WebSocket, WebSocketServer, type ServerOptions } from "ws";
import { type RawAnswer, type RawBackend, startRawBackend } from "../rig/backends.ts";
import { serve, type Served } from "./serve.ts";

export interface ApplicationOptions {
  /** What an ordinary GET gets. */
  readonly plainStatus?: number;
  readonly plainBody?: string;
  readonly tls?: TlsOptions;
  readonly webSocket?: ServerOptions;
  /** Instead of the echo. */
  readonly onSocket?: (socket: WebSocket, request: IncomingMessage) => void;
}

/** A Node program with the library `ws` beside ordinary pages, as most are. */
export async function startApplication(options: ApplicationOptions = {}): Promise<Served> {
  const { plainStatus = 404, plainBody } = options;
  const onRequest: Parameters<typeof createServer>[1] = (request, response) => {
    response.statusCode = plainStatus;
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(plainBody ?? `<pre>Cannot GET ${request.url}</pre>`);
  };
  const server =
    options.tls === undefined ? createServer(onRequest) : createHttpsServer(options.tls, onRequest);
  const webSockets = new WebSocketServer({ ...options.webSocket, server });
  webSockets.on("connection", (socket, request) => {
    socket.on("error", () => {});
    if (options.onSocket === undefined)
      socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
    else options.onSocket(socket, request);
  });
  return serve(server, "an application");
}

/** WebSockets over HTTP/1.1 that work, beside an HTTP/2 that offers them and answers with 405. */
export async function startFalsePromise(tls: TlsOptions): Promise<Served> {
  const server = createSecureServer({ ...tls, allowHTTP1: true, settings: { enableConnectProtocol: true } });
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 405 }, { endStream: true });
  });
  server.on("sessionError", () => {});
  server.on("request", (request, response) => {
    if (request.httpVersionMajor === 1) response.end("page");
  });
  const webSockets = new WebSocketServer({ noServer: true });
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("message", (data, isBinary) => webSocket.send(data, { binary: isBinary }));
    });
  });
  return serve(server, "an HTTP/2 server that does not keep its promise");
}

/** Answers the handshake with a correct 101, changed by `change`; `frames` follow it. */
export function startForger(change: (head: string) => string, frames: string = ""): Promise<RawBackend> {
  return startRawBackend(switching(change, frames));
}

export function switching(change: (head: string) => string = (head) => head, frames: string = ""): RawAnswer {
  return async (request, peer) => {
    const key = request.header("sec-websocket-key");
    if (key === undefined) return peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n`;
    await peer.send(`${change(head)}\r\n${frames}`);
  };
}

/** Answers everything with this. */
export function startRefuser(status: number, body: string, type: string = "text/plain"): Promise<RawBackend> {
  const head = `HTTP/1.1 ${status} Refused\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n`;
  return startRawBackend(`${head}\r\n${body}`);
}

/** Answers handshakes with one thing and everything else with another. */
export function startChooser(onHandshake: string, otherwise: string): Promise<RawBackend> {
  return startRawBackend((request, peer) =>
    peer.send(request.header("upgrade") === undefined ? otherwise : onHandshake),
  );
}
