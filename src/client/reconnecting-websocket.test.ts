/** The client over sockets that do what the test says, on a clock that goes when the test says. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Ending, type ReconnectingOptions, ReconnectingWebSocket } from "./reconnecting-websocket.ts";

/** Half of what the bound allows, unless a test says otherwise. */
const RANDOM = 0.5;

class FakeSocket {
  static made: FakeSocket[] = [];
  readonly url: string;
  readonly protocols: string[];
  readyState = 0;
  bufferedAmount = 0;
  extensions = "";
  protocol = "";
  binaryType = "";
  onopen: ((event: unknown) => void) | null = null;
  onmessage: ((event: { data: unknown; origin?: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;
  readonly sent: unknown[] = [];
  closedWith: readonly unknown[] | undefined;

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.made.push(this);
  }

  send(data: unknown): void {
    if (this.readyState !== 1) throw new Error("sent through a socket that is not open");
    this.sent.push(data);
  }

  close(...args: readonly unknown[]): void {
    this.closedWith ??= args;
    if (this.readyState < 2) this.readyState = 2;
  }

  // What the server and the network do.

  open(): void {
    this.readyState = 1;
    this.protocol = this.protocols[0] ?? "";
    this.onopen?.({});
  }

  message(data: unknown): void {
    this.onmessage?.({ data, origin: "ws://a" });
  }

  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }

  /** As browsers report a failure: first error, then close. */
  fail(code = 1006): void {
    this.onerror?.({});
    this.end(code);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(RANDOM);
  FakeSocket.made = [];
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function connect(options: ReconnectingOptions = {}): { client: ReconnectingWebSocket; events: string[] } {
  const client = new ReconnectingWebSocket("ws://a/chat", [], { WebSocket: FakeSocket, ...options });
  const events: string[] = [];
  client.addEventListener("open", () => events.push("open"));
  client.addEventListener("error", () => events.push("error"));
  client.addEventListener("close", ({ code, reason }) => events.push(`close ${code} ${reason}`.trimEnd()));
  client.addEventListener("message", ({ data }) => events.push(`message ${String(data)}`));
  client.addEventListener("reconnecting", ({ attempt, delayMs, code, reason }) =>
    events.push(`reconnecting ${attempt} in ${delayMs} after ${code} ${reason}`.trimEnd()),
  );
  client.addEventListener("reconnected", ({ attempt }) => events.push(`reconnected ${attempt}`));
  client.addEventListener("dropped", ({ data }) =>
    events.push(`dropped ${typeof data === "string" ? data : "bytes"}`),
  );
  return { client, events };
}

/** The socket that was made last. */
function socket(): FakeSocket {
  const last = FakeSocket.made.at(-1);
  if (last === undefined) throw new Error("no socket was made");
  return last;
}

function made(): number {
  return FakeSocket.made.length;
}

/** The types of event that someone listens to on the page. */
let listening: string[] = [];

/** The global object of a page. */
function stubPage(visibilityState = "visible"): EventTarget {
  const target = new EventTarget();
  listening = [];
  vi.stubGlobal("addEventListener", (type: string, listener: () => void, options: object) => {
    listening.push(type);
    target.addEventListener(type, listener, options);
  });
  vi.stubGlobal("removeEventListener", (type: string, listener: () => void, options: object) => {
    listening = listening.filter((other) => other !== type);
    target.removeEventListener(type, listener, options);
  });
  vi.stubGlobal("document", { baseURI: "https://page.example/app/", visibilityState });
  return target;
}

function fire(target: EventTarget, type: string, fields: object = {}): void {
  target.dispatchEvent(Object.assign(new Event(type), fields));
}

describe("the faults of the client that people write", () => {
  test("a server that refuses everybody sees fewer attempts, not a loop without delay", () => {
    const { client, events } = connect();
    const madeAfterMs: number[] = [];
    const startMs = performance.now();
    for (let attempt = 1; attempt <= 8; attempt++) {
      socket().fail();
      expect(made()).toBe(attempt);
      vi.advanceTimersToNextTimer();
      madeAfterMs.push(performance.now() - startMs);
    }
    const waitsMs = madeAfterMs.map((at, i) => at - (madeAfterMs[i - 1] ?? 0));
    expect(waitsMs).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    expect(events[0]).toBe("reconnecting 1 in 500 after 1006");
    client.close();
  });

  test("an error and the close that follows it make one new socket, and the close says why", () => {
    const { client, events } = connect();
    socket().open();
    socket().fail(1011);
    vi.advanceTimersByTime(10_000);
    expect(made()).toBe(2);
    expect(events).toEqual(["open", "reconnecting 1 in 500 after 1011"]);
    client.close();
  });

  test("no timer outlives its socket: the heartbeat of one does not close the next", () => {
    const heartbeat = { message: "ping", intervalMs: 1_000, timeoutMs: 700 };
    const { client } = connect({ heartbeat });
    socket().open();
    vi.advanceTimersByTime(1_000);
    expect(socket().sent).toEqual(["ping"]);
    socket().fail();
    vi.advanceTimersByTime(500);
    socket().open();
    // The answer to the first socket's heartbeat would have been due now.
    vi.advanceTimersByTime(999);
    expect(socket().closedWith).toBeUndefined();
    expect(made()).toBe(2);
    client.close();
  });

  test("close() while an answer to the heartbeat is due leaves no timer behind", () => {
    const { client, events } = connect({ heartbeat: { message: "ping" } });
    socket().open();
    vi.advanceTimersByTime(25_000);
    expect(vi.getTimerCount()).toBe(1);
    client.close(1000, "bye");
    expect(vi.getTimerCount()).toBe(0);
    expect(socket().closedWith).toEqual([1000, "bye"]);
    socket().end(1000, "bye");
    expect(events).toEqual(["open", "close 1000 bye"]);
    vi.advanceTimersByTime(1e7);
    expect(made()).toBe(1);
  });
});

describe("where it leaves nothing behind", () => {
  const STATES: readonly (readonly [string, () => void])[] = [
    ["connecting", () => {}],
    ["open", () => socket().open()],
    ["waiting", () => socket().fail()],
  ];
  test.each(STATES)(
    "closed while %s: no timer, no further socket, one close event",
    async (_state, reach) => {
      const target = stubPage();
      const { client, events } = connect({ heartbeat: { message: "ping" } });
      reach();
      client.close();
      client.close(4000, "again");
      expect(vi.getTimerCount()).toBe(0);
      expect(client.readyState).toBe(client.CLOSING);
      // The page goes on, while the closing handshake is still to be done.
      for (const type of ["offline", "online", "freeze", "resume"]) fire(target, type);
      if (socket().readyState !== 3) socket().end(1006);
      await Promise.resolve();
      expect(client.readyState).toBe(ReconnectingWebSocket.CLOSED);
      vi.advanceTimersByTime(1e7);
      expect(made()).toBe(1);
      expect(events.filter((event) => event.startsWith("close"))).toHaveLength(1);
      expect(events.at(-1)).toBe("close 1006");
      expect(listening).toEqual([]);
    },
  );

  test("what a socket still has to say after close() is not heard", () => {
    const { client, events } = connect();
    client.close();
    socket().open();
    socket().message("late");
    socket().end(1006);
    expect(events).toEqual(["error", "close 1006"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("closed by the server for good: nobody listens to the page any more", () => {
    stubPage();
    connect();
    expect(listening).toContain("offline");
    socket().open();
    socket().end(1000);
    expect(listening).toEqual([]);
  });

  test("closed by a listener that hears of the failure", async () => {
    const { client, events } = connect();
    client.addEventListener("reconnecting", () => client.close());
    socket().fail();
    await Promise.resolve();
    expect(vi.getTimerCount()).toBe(0);
    expect(events).toEqual(["reconnecting 1 in 500 after 1006", "error", "close 1006"]);
  });

  test("closed by whoever decides", async () => {
    const { client, events } = connect({
      decide: () => {
        client.close();
        return "backoff";
      },
    });
    socket().fail();
    await Promise.resolve();
    expect(vi.getTimerCount()).toBe(0);
    expect(events).toEqual(["error", "close 1006"]);
  });
});

describe("what an ending leads to", () => {
  test.each([1000, 1008, 3000, 4001, 4999])("%i is final, and was clean", (code) => {
    const { client, events } = connect();
    socket().open();
    socket().end(code, "why");
    expect(events).toEqual(["open", `close ${code} why`]);
    expect(client.readyState).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([1001, 1005, 1006, 1011])("%i comes back with backoff", (code) => {
    const { client, events } = connect();
    socket().open();
    socket().end(code);
    expect(events).toEqual(["open", `reconnecting 1 in 500 after ${code}`]);
    expect(client.readyState).toBe(0);
    client.close();
  });

  test.each([1012, 1013])("%i comes back after a wait that is random over the whole spread", (code) => {
    const { client, events } = connect({ spreadMsMax: 20_000 });
    socket().open();
    socket().end(code, "restart");
    expect(events.at(-1)).toBe(`reconnecting 1 in 10000 after ${code} restart`);
    client.close();
  });

  test("a server that keeps saying 1013 sees fewer attempts, too", () => {
    const { client, events } = connect();
    for (let i = 0; i < 6; i++) {
      socket().open();
      socket().end(1013);
      vi.advanceTimersToNextTimer();
    }
    const waits = events.filter((event) => event !== "open").map((event) => / in (\d+) /.exec(event)?.[1]);
    expect(waits.filter((wait) => wait !== undefined)).toEqual([
      "5000",
      "5000",
      "5000",
      "5000",
      "8000",
      "15000",
    ]);
    client.close();
  });

  test("full jitter: the wait may be anything from nothing to the bound", () => {
    const { client, events } = connect({ delayMsBase: 100, delayMsMax: 150 });
    for (const random of [0, 0.999]) {
      vi.mocked(Math.random).mockReturnValueOnce(random);
      socket().fail();
      vi.advanceTimersToNextTimer();
    }
    expect(events).toEqual(["reconnecting 1 in 0 after 1006", "reconnecting 2 in 149.85 after 1006"]);
    client.close();
  });

  test("the application decides, told what is usual and whether the handshake was refused", () => {
    const endings: Ending[] = [];
    const { client, events } = connect({
      decide: (ending, usual) => {
        endings.push(ending);
        if (!ending.wasOpen && ending.attempt >= 2) return "stop";
        return ending.code === 4001 ? "backoff" : usual;
      },
    });
    socket().open();
    socket().end(4001, "token expired");
    vi.advanceTimersByTime(500);
    socket().fail();
    expect(endings).toEqual([
      { code: 4001, reason: "token expired", wasClean: true, wasOpen: true, attempt: 1 },
      { code: 1006, reason: "", wasClean: false, wasOpen: false, attempt: 2 },
    ]);
    expect(events.slice(1)).toEqual([
      "reconnecting 1 in 500 after 4001 token expired",
      "error",
      "close 1006",
    ]);
    expect(client.readyState).toBe(3);
  });

  test("a connection that ends at once does not begin the waits anew, one that was stable does", () => {
    const { client, events } = connect();
    for (const livedMs of [0, 4_999, 5_000]) {
      socket().open();
      vi.advanceTimersByTime(livedMs);
      socket().end(1006);
      vi.advanceTimersToNextTimer();
    }
    expect(events.filter((event) => event.startsWith("reconnecting"))).toEqual([
      "reconnecting 1 in 500 after 1006",
      "reconnecting 2 in 1000 after 1006",
      "reconnecting 1 in 500 after 1006",
    ]);
    client.close();
  });

  test("a constructor that fails at a later attempt is a failed attempt", () => {
    const { client, events } = connect();
    const Throwing = vi.spyOn(FakeSocket.made, "push").mockImplementationOnce(() => {
      throw new Error("blocked");
    });
    socket().fail();
    vi.advanceTimersByTime(500);
    expect(Throwing).toHaveBeenCalled();
    expect(events.at(-1)).toBe("reconnecting 2 in 1000 after 1006 Error: blocked");
    client.close();
  });
});

describe("a link that is dead", () => {
  test("a handshake that nobody answers is given up, and what comes of it later is not heard", () => {
    const { client, events } = connect({ openTimeoutMs: 3_000 });
    const first = socket();
    vi.advanceTimersByTime(3_000);
    expect(first.closedWith).toEqual([]);
    expect(events).toEqual(["reconnecting 1 in 500 after 1006 no answer to the opening handshake"]);
    first.open();
    first.message("late");
    first.fail();
    expect(events).toHaveLength(1);
    expect(made()).toBe(1);
    client.close();
  });

  test("a heartbeat without an answer gives the socket up without waiting for its closing handshake", () => {
    const { client, events } = connect({
      heartbeat: { message: () => "ping", intervalMs: 1_000, timeoutMs: 200 },
    });
    const first = socket();
    first.open();
    vi.advanceTimersByTime(1_200);
    expect(first.sent).toEqual(["ping"]);
    expect(events).toEqual(["open", "reconnecting 1 in 500 after 1006 no answer to the heartbeat"]);
    vi.advanceTimersByTime(500);
    socket().open();
    first.end(1006);
    expect(made()).toBe(2);
    expect(events.slice(2)).toEqual(["open", "reconnected 1"]);
    client.close();
  });

  test("any message is life, and only what is no answer reaches the application", () => {
    const { client, events } = connect({
      heartbeat: { message: "ping", intervalMs: 1_000, timeoutMs: 200, isAnswer: (data) => data === "pong" },
    });
    socket().open();
    vi.advanceTimersByTime(900);
    socket().message("news");
    vi.advanceTimersByTime(900);
    expect(socket().sent).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(socket().sent).toEqual(["ping"]);
    vi.advanceTimersByTime(199);
    socket().message("pong");
    vi.advanceTimersByTime(999);
    expect(events).toEqual(["open", "message news"]);
    client.close();
  });

  test("without a heartbeat an open connection has no timer at all", () => {
    const { client } = connect();
    socket().open();
    socket().message("news");
    expect(vi.getTimerCount()).toBe(0);
    client.close();
  });
});

describe("a page that comes and goes", () => {
  test("offline gives the socket up, online comes back within the first bound", () => {
    const target = stubPage();
    const { client, events } = connect();
    socket().open();
    fire(target, "offline");
    expect(socket().closedWith).toEqual([]);
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersToNextTimer();
      socket().fail();
    }
    fire(target, "online");
    expect(events.slice(-2)).toEqual([
      "reconnecting 4 in 4000 after 1006",
      "reconnecting 1 in 500 after 1006 online",
    ]);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(500);
    socket().open();
    expect(made()).toBe(5);
    client.close();
  });

  test.each([
    ["freeze", "resume", {}],
    ["pagehide", "pageshow", { persisted: true }],
  ])("%s closes the socket and stops every timer, %s comes back", (leave, comeBack, fields) => {
    const target = stubPage();
    const { client, events } = connect({ heartbeat: { message: "ping" } });
    const first = socket();
    first.open();
    fire(target, leave, fields);
    expect(first.closedWith).toEqual([]);
    first.end(1005);
    expect(vi.getTimerCount()).toBe(0);
    client.send("while frozen");
    fire(target, comeBack, fields);
    fire(target, comeBack, fields);
    vi.advanceTimersToNextTimer();
    expect(made()).toBe(2);
    socket().open();
    expect(socket().sent).toEqual(["while frozen"]);
    expect(events).toEqual([
      "open",
      "reconnecting 1 in 0 after 1006 the page was frozen",
      "open",
      "reconnected 1",
    ]);
    client.close();
  });

  test("a page that is left for good keeps its socket for the browser to close", () => {
    const target = stubPage();
    const { client } = connect();
    socket().open();
    fire(target, "pagehide", { persisted: false });
    fire(target, "pageshow", { persisted: false });
    expect(socket().closedWith).toBeUndefined();
    client.close();
  });

  test.each([
    ["visible", 1],
    ["hidden", 0],
  ])("a page that turns %s sends %i heartbeats at once", (visibility, count) => {
    const target = stubPage(visibility);
    const { client } = connect({ heartbeat: { message: "ping" } });
    socket().open();
    fire(target, "visibilitychange");
    expect(socket().sent).toHaveLength(count);
    client.close();
  });
});

describe("the queue", () => {
  test("what is sent while away goes out in order, once, after what the open listener sends", () => {
    const { client } = connect();
    client.addEventListener("open", () => client.send("sign-in"));
    client.send("1");
    client.send("2");
    expect(client.bufferedAmount).toBe(2);
    socket().open();
    client.send("3");
    expect(socket().sent).toEqual(["sign-in", "1", "2", "3"]);
    expect(client.bufferedAmount).toBe(0);
    socket().fail();
    vi.advanceTimersByTime(500);
    socket().open();
    expect(socket().sent).toEqual(["sign-in"]);
    client.close();
  });

  test("what is sent after the server's Close frame waits for the next connection", () => {
    const { client } = connect();
    const first = socket();
    first.open();
    first.readyState = 2;
    expect(client.readyState).toBe(client.CONNECTING);
    client.send("late");
    first.end(1012);
    vi.advanceTimersToNextTimer();
    socket().open();
    expect([first.sent, socket().sent]).toEqual([[], ["late"]]);
    client.close();
  });

  test("bytes are those at the time of send", () => {
    const { client } = connect();
    const bytes = new Uint8Array([0, 1, 2, 3]);
    client.send(bytes.subarray(1, 3));
    client.send(bytes.buffer);
    bytes.fill(9);
    expect(client.bufferedAmount).toBe(6);
    socket().open();
    expect(socket().sent).toEqual([new Uint8Array([1, 2]).buffer, new Uint8Array([0, 1, 2, 3]).buffer]);
    client.close();
  });

  test.each([
    ["drop-oldest" as const, ["b", "c"], ["dropped a"]],
    ["drop-newest" as const, ["a", "b"], ["dropped c"]],
  ])("%s", (queuePolicy, sent, dropped) => {
    const { client, events } = connect({ queuePolicy, queueCountMax: 2 });
    for (const message of ["a", "b", "c"]) client.send(message);
    socket().open();
    expect(socket().sent).toEqual(sent);
    expect(events).toEqual([...dropped, "open"]);
    client.close();
  });

  test("error: send throws, and what waits stays", () => {
    const { client } = connect({ queueBytesMax: 4 });
    client.send("ü1");
    expect(() => client.send("23")).toThrow(expect.objectContaining({ name: "QuotaExceededError" }));
    client.send("4");
    socket().open();
    expect(socket().sent).toEqual(["ü1", "4"]);
    client.close();
  });

  test("a message that is larger than the whole queue drops no other", () => {
    const { client, events } = connect({ queuePolicy: "drop-oldest", queueBytesMax: 3 });
    client.send("abc");
    client.send("abcd");
    client.send("xy");
    socket().open();
    expect(socket().sent).toEqual(["xy"]);
    expect(events).toEqual(["dropped abcd", "dropped abc", "open"]);
    client.close();
  });

  test("a listener of open that closes keeps the queue from going out, and reconnected from being told", () => {
    const { client, events } = connect();
    socket().open();
    socket().fail();
    client.addEventListener("open", () => client.close());
    client.send("never");
    vi.advanceTimersByTime(500);
    socket().open();
    expect(socket().sent).toEqual([]);
    expect(events.at(-1)).toBe("open");
  });

  test("what is sent after close() goes nowhere and counts as buffered", () => {
    const { client } = connect();
    socket().open();
    client.close();
    client.send("four");
    socket().end(1000);
    expect(client.bufferedAmount).toBe(4);
    expect(socket().sent).toEqual([]);
  });
});

describe("what a WebSocket is", () => {
  test.each([
    ["chat", "wss://page.example/app/chat"],
    ["/chat?x=1", "wss://page.example/chat?x=1"],
    ["//other.example/", "wss://other.example/"],
    ["http://a/b", "ws://a/b"],
    ["https://a:8443/b", "wss://a:8443/b"],
    [new URL("ws://a:80/"), "ws://a/"],
  ])("takes %s for %s", (url, absolute) => {
    stubPage();
    const client = new ReconnectingWebSocket(url, [], { WebSocket: FakeSocket });
    expect([client.url, socket().url]).toEqual([absolute, absolute]);
    client.close();
  });

  test.each(["ws://a/#part", "ws://a/#", "ftp://a/", "http://", "relative without a page"])(
    "refuses the URL %s before anything is opened",
    (url) => {
      expect(() => new ReconnectingWebSocket(url, [], { WebSocket: FakeSocket })).toThrow(
        expect.objectContaining({ name: "SyntaxError" }),
      );
      expect(made()).toBe(0);
    },
  );

  test("offers its protocols each time, and tells which one the last handshake agreed on", () => {
    const protocols = ["v2", "v1"];
    const client = new ReconnectingWebSocket("ws://a/", protocols, { WebSocket: FakeSocket });
    protocols.pop();
    expect(client.protocol).toBe("");
    socket().open();
    socket().fail();
    expect(client.protocol).toBe("v2");
    vi.advanceTimersByTime(500);
    expect(socket().protocols).toEqual(["v2", "v1"]);
    client.close();
  });

  test("keeps binaryType across sockets; it is blob until set", () => {
    const { client } = connect();
    expect([client.binaryType, socket().binaryType]).toEqual(["blob", "blob"]);
    client.binaryType = "arraybuffer";
    expect(socket().binaryType).toBe("arraybuffer");
    socket().fail();
    vi.advanceTimersByTime(500);
    expect(socket().binaryType).toBe("arraybuffer");
    client.close();
  });

  test("a handler is one listener with this, until it is null", () => {
    const { client } = connect();
    const heard: unknown[] = [];
    client.onmessage = function (this: unknown, event) {
      heard.push(this === client, event.data, event.origin);
    };
    const handler = client.onmessage;
    client.onmessage = handler;
    socket().open();
    socket().message("1");
    client.onmessage = null;
    socket().message("2");
    expect(client.onmessage).toBeNull();
    expect(heard).toEqual([true, "1", "ws://a"]);
    client.close();
  });

  test.each([
    [1001, "", "InvalidAccessError"],
    [5000, "", "InvalidAccessError"],
    [1000, "ü".repeat(62), "SyntaxError"],
  ])("close(%i, %j) throws and closes nothing", (code, reason, name) => {
    const { client } = connect();
    socket().open();
    expect(() => client.close(code, reason)).toThrow(expect.objectContaining({ name }));
    expect(client.readyState).toBe(1);
    client.close();
  });

  test("has the constants on the class and on each instance", () => {
    const { client } = connect();
    const constants = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };
    expect(client).toMatchObject(constants);
    expect(Object.assign({}, ReconnectingWebSocket)).toMatchObject(constants);
    client.close();
  });
});
