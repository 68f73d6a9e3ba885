import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { type ChatBackend, startChatBackend } from "./demo-chat.ts";

let chat: ChatBackend | undefined;
afterEach(() => chat?.close());

/** A page: hears objects in order, and remembers how it was closed. */
class Page {
  readonly socket: WebSocket;
  readonly closed: Promise<string>;
  readonly #heard: unknown[] = [];
  #wake: () => void = () => {};

  constructor(port: number) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
    this.socket.on("message", (data: Buffer) => {
      this.#heard.push(JSON.parse(data.toString()));
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.once("close", (code, reason) => resolve(`${code} ${reason.toString()}`));
    });
  }

  async tell(...messages: readonly (object | string)[]): Promise<void> {
    if (this.socket.readyState === WebSocket.CONNECTING) {
      await new Promise((resolve) => this.socket.once("open", resolve));
    }
    for (const message of messages) {
      this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
    }
  }

  async hear(): Promise<unknown> {
    while (this.#heard.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#heard.shift();
  }
}

async function start(): Promise<() => Page> {
  const { port } = (chat = await startChatBackend(0));
  return () => new Page(port);
}

test("what one says reaches all, and a newcomer gets to read what was said before", async () => {
  const newPage = await start();
  const [ann, bob] = [newPage(), newPage()];
  await ann.tell({ type: "hello", name: "Ann" }, { type: "say", text: "anybody here?" });
  expect(await ann.hear()).toEqual({ type: "welcome", name: "Ann", people: ["Ann"], said: [] });
  expect(await ann.hear()).toEqual({ type: "said", name: "Ann", text: "anybody here?" });
  await bob.tell({ type: "hello", name: "Bob" });
  expect(await bob.hear()).toEqual({
    type: "welcome",
    name: "Bob",
    people: ["Ann", "Bob"],
    said: [{ name: "Ann", text: "anybody here?" }],
  });
  expect(await ann.hear()).toEqual({ type: "joined", name: "Bob" });
  bob.socket.close();
  expect(await ann.hear()).toEqual({ type: "left", name: "Bob" });
});

test("a taken name gets a number, and an empty one a name", async () => {
  const newPage = await start();
  const names: unknown[] = [];
  for (const name of ["Ann", "Ann", "  "]) {
    const page = newPage();
    await page.tell({ type: "hello", name });
    names.push(await page.hear());
  }
  expect(names).toMatchObject([{ name: "Ann" }, { name: "Ann 2" }, { name: "someone" }]);
});

test("nobody speaks before the greeting, and a ping is answered even so", async () => {
  const newPage = await start();
  const page = newPage();
  await page.tell({ type: "say", text: "unheard" }, { type: "ping", at: 1.5 });
  expect(await page.hear()).toEqual({ type: "pong", at: 1.5 });
});

test("closes with the code and as much of the reason as fits", async () => {
  const newPage = await start();
  const page = newPage();
  await page.tell({ type: "close", code: 4001, reason: "é".repeat(100) });
  expect(await page.closed).toBe(`4001 ${"é".repeat(61)}`);
});

test.each([
  ["no JSON", "hello"],
  ["not an object", "null"],
  ["a type that does not exist", { type: "shout" }],
  ["a field of the wrong type", { type: "say", text: 1 }],
  ["a reserved close code", { type: "close", code: 1006, reason: "" }],
])("refuses %s with 1008", async (_what, message) => {
  const newPage = await start();
  const page = newPage();
  await page.tell(message);
  expect(await page.closed).toBe("1008 that was not a message of this chat");
});

test("refuses a message that is too long with 1009", async () => {
  const newPage = await start();
  const page = newPage();
  await page.tell({ type: "say", text: "x".repeat(20_000) });
  expect(await page.closed).toMatch(/^1009 /);
});

test("tells everybody when it goes away, and lets the port go", async () => {
  const newPage = await start();
  const page = newPage();
  await page.tell({ type: "hello", name: "Ann" });
  await page.hear();
  await chat?.close();
  expect(await page.closed).toBe("1001 the demo was stopped");
  chat = await startChatBackend(chat?.port ?? 0);
});

test("answers a plain request with 426", async () => {
  await start();
  const response = await fetch(`http://127.0.0.1:${chat?.port}/chat`, { headers: { connection: "close" } });
  expect([response.status, response.headers.get("upgrade")]).toEqual([426, "websocket"]);
});
