/** The client as others get it: how large it is in a page, and what it is to TypeScript. */
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { useRig } from "./rig/ledger.ts";
import { REPOSITORY, temporaryFolder } from "./rig/proxy-process.ts";

useRig();

const GZIP_BYTES_MAX = 3_000;

test(`is smaller than ${GZIP_BYTES_MAX} bytes, minified and gzipped, and imports nothing`, async () => {
  const result = await build({
    stdin: { contents: `export { ReconnectingWebSocket } from "wsgate/client";`, resolveDir: REPOSITORY },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    write: false,
    metafile: true,
  });
  const [file] = result.outputFiles;
  expect(gzipSync(file?.contents ?? "").length).toBeGreaterThan(500);
  expect(gzipSync(file?.contents ?? "").length).toBeLessThan(GZIP_BYTES_MAX);
  const inputs = Object.keys(result.metafile.inputs).filter((path) => !path.endsWith("<stdin>"));
  expect(inputs.filter((path) => !path.startsWith("dist/client/"))).toEqual([]);
});

/** What a page's code does with a WebSocket, and what only this one has. Must compile without Node's types. */
const USE = `
import { ReconnectingWebSocket, type Decision, type Ending } from "wsgate/client";

const decide = (ending: Ending, usual: Decision): Decision => (ending.code === 4001 ? "backoff" : usual);
const client = new ReconnectingWebSocket(new URL("wss://a/"), ["chat"], { decide, heartbeat: { message: "ping" } });

const socket: WebSocket = client;
const Constructor: new (url: string | URL, protocols?: string | string[]) => WebSocket = ReconnectingWebSocket;
const state: boolean = socket.readyState === ReconnectingWebSocket.OPEN || socket.readyState === Constructor.length;

client.onmessage = (event: MessageEvent<string>) => console.log(event.data, state);
client.onclose = ({ code, reason, wasClean }) => console.log(code + 1, reason.length, wasClean === true);
client.addEventListener("close", (event: CloseEvent) => console.log(event.code), { once: true });
client.addEventListener("reconnecting", ({ attempt, delayMs }) => console.log(attempt + delayMs));
// @ts-expect-error: there is no such state.
client.readyState === 4;
// @ts-expect-error: nor is this sent.
client.send({ text: "an object" });
`;

test("is a WebSocket to TypeScript, in a page's project that has the DOM and no types of Node", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(REPOSITORY, join(folder, "node_modules", "wsgate"));
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
  writeFileSync(join(folder, "page.ts"), USE);
  const compiler = createRequire(import.meta.url).resolve("typescript/package.json");
  const compile = (moduleOption: string, resolution: string): string => {
    try {
      const options = ["--noEmit", "--strict", "--lib", "es2022,dom", "--types", "", "--target", "es2022"];
      const kind = ["--module", moduleOption, "--moduleResolution", resolution];
      const tsc = join(dirname(compiler), "bin", "tsc");
      return execFileSync(process.execPath, [tsc, ...options, ...kind, "page.ts"], {
        cwd: folder,
        encoding: "utf8",
      });
    } catch (error) {
      return error instanceof Error && "stdout" in error ? String(error.stdout) : String(error);
    }
  };
  expect(compile("esnext", "bundler")).toBe("");
  expect(compile("nodenext", "nodenext")).toBe("");
}, 60_000);
