import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";
import { obtain } from "./ledger.ts";

export interface BrowserOptions {
  /** Further command-line switches. */
  readonly args?: readonly string[];
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: "light" | "dark";
  /** Refuses certificates as it does for people. Default: takes any. */
  readonly checksCertificates?: boolean;
  /** Keeps pages that one navigates away from, frozen, as browsers do for people. Default: off. */
  readonly backForwardCache?: boolean;
}

/**
 * Debian's chromium with a profile of its own, certificates unchecked. Starting takes seconds: call it in `beforeAll`,
 * behind `has("chromium")`, and it serves the whole file.
 */
export async function startBrowser(options: BrowserOptions = {}): Promise<BrowserContext> {
  const profile = mkdtempSync(join(tmpdir(), "wsgate-chromium-"));
  obtain(profile, () => rmSync(profile, { recursive: true, force: true, maxRetries: 3 }));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    headless: true,
    ignoreHTTPSErrors: options.checksCertificates !== true,
    viewport: options.viewport ?? { width: 1024, height: 768 },
    colorScheme: options.colorScheme ?? "light",
    ignoreDefaultArgs: options.backForwardCache === true ? ["--disable-back-forward-cache"] : [],
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(options.args ?? []),
    ],
  });
  obtain("chromium", () => browser.close());
  return browser;
}
