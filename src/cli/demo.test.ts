import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { runDemo } from "./demo.ts";

/** What is refused before anything is started. The demo itself is tested in test/quickstart.test.ts. */

let printed = "";
beforeEach(() => {
  printed = "";
  const print = (text: string | Uint8Array): boolean => {
    printed += String(text);
    return true;
  };
  vi.spyOn(process.stderr, "write").mockImplementation(print);
  vi.spyOn(process.stdout, "write").mockImplementation(print);
});
afterEach(() => vi.restoreAllMocks());

async function listenSomewhere(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

test.each(["http", "https"])("a taken %s port is named, with its process and what to do", async (flag) => {
  const { server, port } = await listenSomewhere();
  const other = flag === "http" ? ["--https", "0"] : ["--http", "0"];
  expect(await runDemo([`--${flag}`, `${port}`, ...other])).toBe(1);
  server.close();
  const owner = process.platform === "linux" ? `.+ \\(pid ${process.pid}\\)` : "another program";
  expect(printed).toMatch(new RegExp(`port ${port} is taken by ${owner}; nothing was started`));
  expect(printed).toContain(`--${flag} ${port + 10}`);
});

test("speaks of npm start to whoever typed that", async () => {
  const { server, port } = await listenSomewhere();
  vi.stubEnv("npm_lifecycle_event", "start");
  await runDemo(["--http", `${port}`, "--https", "0"]);
  vi.unstubAllEnvs();
  server.close();
  expect(printed).toContain(`npm start -- --http ${port + 10}`);
});

test.each([
  [["--http", "80a"], /--http wants a port number from 0 to 65535, not "80a"/],
  [["--https", "65536"], /--https wants a port number/],
  [["--http", "9000", "--https", "9000"], /cannot share port 9000/],
  [["--nonsense"], /--nonsense[^]*usage: wsgate demo/],
  [["extra"], /extra[^]*usage: wsgate demo/],
])("refuses %j", async (argv, message) => {
  expect(await runDemo(argv)).toBe(1);
  expect(printed).toMatch(message);
});

test("--help is no failure", async () => {
  expect(await runDemo(["--help"])).toBe(0);
  expect(printed).toMatch(/^usage: wsgate demo/);
});
