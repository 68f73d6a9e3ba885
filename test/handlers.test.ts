/** Several directives that would answer in one location: the last does, as the real nginx has it. */
import { expect, test } from "vitest";
import { startHttpBackend } from "./rig/backends.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";

useRig();

const CASES: readonly (readonly [
  name: string,
  inside: string,
  target: string,
  answer: "proxy" | "status",
])[] = [
  ["proxy_pass behind stub_status", "stub_status; proxy_pass http://BACKEND;", "/", "proxy"],
  ["stub_status behind proxy_pass", "proxy_pass http://BACKEND; stub_status;", "/", "status"],
  [
    "a condition that says nothing about it",
    "proxy_pass http://BACKEND; stub_status; if ($arg_a) { set $b 1; }",
    "/?a=1",
    "status",
  ],
  [
    "a condition in a proxied location",
    "proxy_pass http://BACKEND; if ($arg_a) { set $b 1; }",
    "/?a=1",
    "proxy",
  ],
];

async function answerOf(start: typeof startGate, inside: string, target: string): Promise<string> {
  const backend = await startHttpBackend();
  const proxy: Proxy = await start({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { ${inside.replaceAll("BACKEND", backend.address)} } }`,
    tolerates: [/./],
  });
  const { status, body } = await request({ port: proxy.port(), target });
  if (body.includes("Active connections")) return "status";
  return body.startsWith("{") ? "proxy" : `${status}`;
}

test.for(CASES)("%s", async ([, inside, target, answer], context) => {
  requires(context, "nginx");
  const answers = [await answerOf(startGate, inside, target), await answerOf(startNginx, inside, target)];
  expect(answers).toEqual([answer, answer]);
});

test("websocket_status answers where it stands last, also from within a condition, and the log says so", async () => {
  const backend = await startHttpBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; websocket_status json; if ($arg_a) { set $b 1; } } }`,
    tolerates: [/"proxy_pass" has no effect/],
  });
  await gate.waitForLog(
    /\[warn\] "proxy_pass" has no effect: "websocket_status" answers here in .*nginx\.conf:\d+/,
  );
  for (const target of ["/", "/?a=1"]) {
    const response = await request({ port: gate.port(), target });
    expect(response.header("content-type")).toBe("application/json");
  }
});
