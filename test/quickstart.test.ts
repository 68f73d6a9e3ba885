/** What a newcomer sees: `wsgate demo`, and its page in a real browser. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { type Backend, startWebSocketBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { leafFiles } from "./rig/certificates.ts";
import { within } from "./rig/deadline.ts";
import { request } from "./rig/http-client.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Command, type Proxy, REPOSITORY, startCommand, startGate } from "./rig/proxy-process.ts";
import { has, requires } from "./rig/requires.ts";

const QUICKSTART = join(REPOSITORY, "examples/quickstart");

useRig();

let browser: BrowserContext | undefined;
beforeAll(async () => {
  if (has("chromium")) browser = await startBrowser();
});

async function newPage(): Promise<Page> {
  if (browser === undefined) throw new Error("this test does not say that it requires chromium");
  const page = await browser.newPage();
  obtain("a page in chromium", () => page.close());
  page.setDefaultTimeout(10_000);
  return page;
}

/** Resolves once the element's text matches. */
async function expectText(page: Page, selector: string, pattern: RegExp): Promise<void> {
  const element = page.locator(selector).filter({ hasText: pattern });
  await element.waitFor({ state: "visible" });
  expect(await element.textContent()).toMatch(pattern);
}

async function say(page: Page, text: string): Promise<void> {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

describe("wsgate demo", () => {
  interface Demo {
    readonly command: Command;
    readonly http: string;
    readonly https: string;
  }

  async function startDemo(): Promise<Demo> {
    const command = startCommand(["demo", "--http", "0", "--https", "0"]);
    await command.stdout.waitFor(/Ctrl-C stops everything/);
    const address = (scheme: string): string =>
      new RegExp(`${scheme}://localhost:\\d+/`).exec(command.stdout.text)?.[0] ?? "";
    return { command, http: address("http"), https: address("https") };
  }

  async function stop({ command }: Demo): Promise<void> {
    command.signal("SIGINT");
    expect(await within(command.exited, "the demo to end")).toEqual({ code: 0, signal: null });
    expect(command.isAlive(), "a process was left behind").toBe(false);
    expect(command.stderr.text).toBe("");
  }

  test("carries a chat between two browser pages, one over wss and one over ws", async (context) => {
    requires(context, "chromium");
    const demo = await startDemo();
    const [ann, bob] = [await newPage(), await newPage()];
    await ann.goto(demo.https);
    await expectText(ann, "#state", /^Connected, encrypted$/);
    await expectText(ann, "#url", /^wss:/);
    await bob.goto(demo.http);
    await expectText(bob, "#state", /^Connected$/);
    await expectText(bob, "#url", /^ws:/);
    await say(ann, "grüße over TLS");
    await expectText(bob, "#messages li:last-child", /grüße over TLS$/);
    await say(bob, "and back");
    await expectText(ann, "#messages li:last-child", /and back$/);
    await expectText(ann, "#rtt", /^\d+(\.\d)? ms$/);
    await stop(demo);
  });

  test("shows code and reason when the backend closes, and connects again by itself", async (context) => {
    requires(context, "chromium");
    const demo = await startDemo();
    const page = await newPage();
    await page.goto(demo.https);
    await expectText(page, "#state", /^Connected/);
    await say(page, "/close 4001 enough");
    await expectText(page, "#end", /code 4001 .*reason “enough”/);
    await expectText(page, "#state", /^Connected/);
    await stop(demo);
  });

  test("serves TLS with the certificate that it keeps beside its configuration", async () => {
    const demo = await startDemo();
    const ca = readFileSync(join(QUICKSTART, ".wsgate/localhost.crt"));
    const port = Number(new URL(demo.https).port);
    const response = await request({ port, tls: { ca, servername: "localhost" } });
    expect([response.status, response.header("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    await stop(demo);
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "leaves nothing behind when %s comes while it starts",
    async (signal) => {
      const command = startCommand(["demo", "--http", "0", "--https", "0"], {
        // Says when the demo has been loaded, which is when it has begun to listen to signals.
        env: { NODE_DEBUG: "child_process" },
      });
      await command.stderr.waitFor(/spawn/);
      command.signal(signal);
      expect(await within(command.exited, "the demo to end")).toEqual({ code: 0, signal: null });
      expect(command.isAlive(), "a process was left behind").toBe(false);
      expect(command.stdout.text).toBe("");
    },
  );
});

describe("the page", () => {
  /** The quickstart's configuration with the test's own ports, backend and certificate. */
  async function startQuickstart(backend: Backend): Promise<Proxy> {
    const { certificate, key } = await leafFiles();
    const config = readFileSync(join(QUICKSTART, "nginx.conf"), "utf8")
      .replace("listen 8080;", "listen 127.0.0.1:{{port:http}};")
      .replace("listen 8443 ssl;", "listen 127.0.0.1:{{port:https}} ssl;")
      .replace("127.0.0.1:8081", backend.address)
      .replace(".wsgate/localhost.crt", certificate)
      .replace(".wsgate/localhost.key", key)
      .replaceAll(".wsgate/", "logs/")
      .replace(/root +html;/, `root ${join(QUICKSTART, "html")};`);
    return await startGate({ config });
  }

  test("carries page and WebSocket over HTTP/2 where there is TLS", async (context) => {
    requires(context, "chromium");
    const backend = await startWebSocketBackend({ onSocket: () => {} });
    const gate = await startQuickstart(backend);
    const page = await newPage();
    await page.goto(gate.url("https", "/", "https"));
    await expectText(page, "#state", /^Connected, encrypted$/);
    await page.close();
    await gate.waitForFile("logs/access.log", /"GET \/chat HTTP\/2\.0" 200 /);
    expect(gate.read("logs/access.log")).toMatch(/"GET \/ HTTP\/2\.0" 200 /);
  });

  test("reconnects once for each failure, and later each time", async (context) => {
    requires(context, "chromium");
    let accepted = 0;
    let wake = (): void => {};
    const backend = await startWebSocketBackend({
      onSocket: (socket) => {
        accepted++;
        wake();
        socket.close(1013, "not now");
      },
    });
    const gate = await startQuickstart(backend);
    const page = await newPage();
    await page.clock.install();
    const attempt = async (): Promise<void> => {
      const before = accepted;
      await within(
        new Promise<void>((resolve) => {
          wake = resolve;
          if (accepted > before) resolve();
        }),
        "the page to connect again",
      );
    };

    const first = attempt();
    await page.goto(gate.url("http", "/", "http"));
    await first;
    const waitsSeconds: number[] = [];
    for (let failures = 1; failures <= 5; failures++) {
      await expectText(page, "#state", /^Reconnecting in/);
      const seconds = Number(/[\d.]+/.exec((await page.textContent("#state")) ?? "")?.[0]);
      waitsSeconds.push(seconds);
      const next = attempt();
      await page.clock.runFor(seconds * 1000 + 100);
      await next;
      expect(accepted).toBe(failures + 1);
    }
    expect(waitsSeconds[0]).toBeGreaterThanOrEqual(0.2);
    for (const [i, seconds] of waitsSeconds.entries()) {
      // Half to all of 0.5 s doubled each time, as shown with one digit.
      expect(seconds).toBeGreaterThanOrEqual(0.25 * 2 ** i - 0.05);
      expect(seconds).toBeLessThanOrEqual(0.5 * 2 ** i + 0.05);
    }
    await expectText(page, "#end", /code 1013 \(try again later\), reason “not now”/);
  });

  test("fits a narrow screen, without a way to scroll to the side", async (context) => {
    requires(context, "chromium");
    const backend = await startWebSocketBackend({ onSocket: () => {} });
    const gate = await startQuickstart(backend);
    const page = await newPage();
    await page.setViewportSize({ width: 320, height: 640 });
    await page.goto(gate.url("https", "/", "https"));
    await expectText(page, "#state", /^Connected/);
    const right = await page.locator("#connection").evaluate((card) => card.getBoundingClientRect().right);
    expect(right).toBeLessThanOrEqual(320);
  });

  test("stays away after Disconnect until told to come back", async (context) => {
    requires(context, "chromium");
    const backend = await startWebSocketBackend({ onSocket: () => {} });
    const gate = await startQuickstart(backend);
    const page = await newPage();
    await page.clock.install();
    await page.goto(gate.url("https", "/", "https"));
    await expectText(page, "#state", /^Connected, encrypted$/);
    await page.click("#toggle");
    await expectText(page, "#state", /^Disconnected$/);
    await page.clock.runFor("10:00");
    expect(backend.handshakes).toHaveLength(1);
    await page.click("#toggle");
    await expectText(page, "#state", /^Connected/);
    expect(backend.handshakes).toHaveLength(2);
  });

  test("gives up a connection on which nothing comes back, and takes a new one", async (context) => {
    requires(context, "chromium");
    const backend = await startWebSocketBackend({ onSocket: () => {} });
    const gate = await startQuickstart(backend);
    const page = await newPage();
    await page.clock.install();
    await page.goto(gate.url("http", "/", "http"));
    await expectText(page, "#state", /^Connected$/);
    await page.clock.runFor(12_500);
    await expectText(page, "#end", /code 4000 .*reason “no answer to pings”/);
    await page.clock.runFor(1_000);
    await expectText(page, "#state", /^Connected$/);
    expect(backend.handshakes).toHaveLength(2);
  });
});
