/** What the table says that Chrome writes into its console is what chromium writes for the patients of the clinic. */
import type { BrowserContext, Page } from "playwright-core";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { ILLNESSES } from "../src/doctor/verdict/verdict.ts";
import { CHROME_SAYS } from "./clinic/chrome-says.ts";
import { WARDS } from "./clinic/index.ts";
import { HAS_SEEDS, SEED_PATIENTS } from "./clinic/seeds.ts";
import { startHttpBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { within } from "./rig/deadline.ts";
import { useRig } from "./rig/ledger.ts";
import { has, requires } from "./rig/requires.ts";

useRig();

let browser: BrowserContext | undefined;

beforeAll(async () => {
  if (!has("chromium")) return;
  browser = await startBrowser({ checksCertificates: true });
});

beforeEach((context) => requires(context, "chromium"));

/** A page of its own for each: chromium lets one that has failed often wait longer and longer. */
async function openPage(): Promise<Page> {
  if (browser === undefined) throw new Error("there is no chromium");
  const site = await startHttpBackend((_seen, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html>");
  });
  const page = await browser.newPage();
  await page.goto(`http://${site.address}/`);
  return page;
}

/** The console's first message about a WebSocket, or what its constructor throws. */
async function messageOfBrowser(page: Page, url: string): Promise<string> {
  const said = new Promise<string>((resolve) => page.once("console", (message) => resolve(message.text())));
  const thrown = await page.evaluate((address) => {
    try {
      Reflect.set(globalThis, "socket", new WebSocket(address));
      return null;
    } catch (error) {
      return String(error).replace(/^\w+: /, "");
    }
  }, url);
  return thrown ?? (await within(said, `chromium to say something about ${url}`));
}

/** A row of the table as a pattern: placeholders stand for anything. */
function patternOf(message: string): RegExp {
  const literal = message.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replace(/\\\{\w+\\\}/g, ".*")}$`);
}

for (const { name, patients } of WARDS) {
  if (patients === SEED_PATIENTS && !HAS_SEEDS) continue;
  for (const patient of patients) {
    const illness = ILLNESSES.find(({ id }) => id === patient.illness);
    if (illness === undefined || patient.notInBrowser !== undefined) continue;
    test(`${name}: ${patient.made}: chromium says what stands under ${illness.id}`, async (context) => {
      requires(context, ...(patient.needs ?? []));
      const [url = ""] = await patient.admit();
      const page = await openPage();
      const said = await messageOfBrowser(page, url);
      await page.close();
      const isKnown = illness.browsers.chrome.some((message) => patternOf(message).test(said));
      expect({ said: said.replaceAll(url, "{url}"), isKnown }).toEqual({
        said: CHROME_SAYS[patient.made],
        isKnown: true,
      });
    });
  }
}
