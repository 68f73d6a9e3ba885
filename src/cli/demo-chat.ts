/**
 * The chat behind the demo: a small WebSocket backend that knows nothing of the proxy in front of it.
 *
 * Messages are JSON objects with a `type`:
 *
 *   from the page          to the page
 *   hello {name}           welcome {name, people, said}    the name may have got a number
 *   say   {text}           joined, left {name}
 *   ping  {at}             said {name, text}
 *   close {code, reason}   pong {at}                       whatever `at` was sent
 *
 * `close` asks the backend to end the connection with that code, so that one can watch what arrives in the browser.
 */
import { createServer, type Server } from "node:http";
import { type WebSocket, WebSocketServer } from "ws";

const MESSAGE_BYTES_MAX = 16 * 1024;
const NAME_CHARACTERS_MAX = 24;
const TEXT_CHARACTERS_MAX = 2_000;
const PEOPLE_MAX = 500;
/** Who reads so slowly that this much piles up is asked to come back later. */
const UNSENT_BYTES_MAX = 1024 * 1024;
/** What a newcomer gets to read of the conversation before. */
const REMEMBERED_MESSAGES = 20;

const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;
const GOING_AWAY = 1001;

export interface ChatBackend {
  readonly port: number;
  /** Tells everybody that the chat is going away, and stops listening. */
  close(): Promise<void>;
}

/** Listens on 127.0.0.1. Rejects with the system's error where the port cannot be had; port 0 takes a free one. */
export async function startChatBackend(port: number): Promise<ChatBackend> {
  const server = createServer((_request, response) => {
    response.writeHead(426, { "content-type": "text/plain", upgrade: "websocket", connection: "upgrade" });
    response.end("This is the chat's WebSocket. The page is at /.\n");
  });
  const sockets = new WebSocketServer({ server, maxPayload: MESSAGE_BYTES_MAX });
  const room = new Room();
  sockets.on("connection", (socket) => room.admit(socket));
  // Handled below while starting; afterwards a listener that breaks leaves the open conversations alone.
  sockets.on("error", () => {});
  await listen(server, port);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.close(GOING_AWAY, "the demo was stopped");
        server.close(() => resolve());
        setTimeout(() => {
          for (const socket of sockets.clients) socket.terminate();
          server.closeAllConnections();
        }, 500).unref();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

interface Said {
  readonly name: string;
  readonly text: string;
}

class Room {
  readonly #people = new Map<WebSocket, string>();
  readonly #said: Said[] = [];

  admit(socket: WebSocket): void {
    // What went wrong shows in the close event that follows.
    socket.on("error", () => {});
    socket.on("message", (data: Buffer, isBinary) => this.#onMessage(socket, data, isBinary));
    socket.on("close", () => this.#onClose(socket));
    if (this.#people.size >= PEOPLE_MAX) socket.close(TRY_AGAIN_LATER, "the room is full");
  }

  #onMessage(socket: WebSocket, data: Buffer, isBinary: boolean): void {
    const message = isBinary ? undefined : readMessage(data);
    const name = this.#people.get(socket);
    if (message === undefined) socket.close(POLICY_VIOLATION, "that was not a message of this chat");
    else if (message.type === "ping") send(socket, { type: "pong", at: message.at });
    else if (message.type === "close") socket.close(message.code, message.reason);
    else if (message.type === "hello" && name === undefined) this.#welcome(socket, message.name);
    else if (message.type === "say" && name !== undefined) this.#say({ name, text: message.text });
  }

  #onClose(socket: WebSocket): void {
    const name = this.#people.get(socket);
    if (name === undefined) return;
    this.#people.delete(socket);
    this.#tellAll({ type: "left", name });
  }

  #welcome(socket: WebSocket, wanted: string): void {
    const taken = new Set(this.#people.values());
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted} ${number}`;
    this.#tellAll({ type: "joined", name });
    this.#people.set(socket, name);
    send(socket, { type: "welcome", name, people: [...this.#people.values()], said: this.#said });
  }

  #say(said: Said): void {
    this.#said.push(said);
    if (this.#said.length > REMEMBERED_MESSAGES) this.#said.shift();
    this.#tellAll({ type: "said", ...said });
  }

  #tellAll(message: object): void {
    for (const socket of this.#people.keys()) send(socket, message);
  }
}

function send(socket: WebSocket, message: object): void {
  if (socket.bufferedAmount > UNSENT_BYTES_MAX) socket.close(TRY_AGAIN_LATER, "too slow");
  else socket.send(JSON.stringify(message), ignoreSendError);
}

/** The connection has ended meanwhile; its close event does what is to be done. */
function ignoreSendError(): void {}

type ChatMessage =
  | { readonly type: "hello"; readonly name: string }
  | { readonly type: "say"; readonly text: string }
  | { readonly type: "ping"; readonly at: number }
  | { readonly type: "close"; readonly code: number; readonly reason: string };

/** What the page said, with its texts cut to size; undefined where it is none of the chat's messages. */
function readMessage(data: Buffer): ChatMessage | undefined {
  const { type, name, text, at, code, reason } = parseObject(data.toString("utf8"));
  if (type === "hello" && typeof name === "string") {
    return { type, name: name.trim().slice(0, NAME_CHARACTERS_MAX) || "someone" };
  }
  if (type === "say" && typeof text === "string") return { type, text: text.slice(0, TEXT_CHARACTERS_MAX) };
  if (type === "ping" && typeof at === "number") return { type, at };
  if (type === "close" && isCodeForApplications(code) && typeof reason === "string") {
    return { type, code, reason: cutToUtf8Bytes(reason, 123) };
  }
  return undefined;
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** 1000, or the range that RFC 6455 section 7.4.2 leaves to applications and libraries. */
function isCodeForApplications(code: unknown): code is number {
  return Number.isInteger(code) && (code === 1000 || (Number(code) >= 3000 && Number(code) <= 4999));
}

/** A close reason has room for 123 bytes (RFC 6455 section 5.5); cut between characters. */
function cutToUtf8Bytes(text: string, bytesMax: number): string {
  let bytes = 0;
  let kept = "";
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) break;
    kept += character;
  }
  return kept;
}
