import { expect, test } from "vitest";
import { compile } from "../src/compile/compile.ts";
import { memoryFiles } from "../src/config/files.ts";
import { formatDiagnostic } from "../src/config/format-diagnostic.ts";
import { modules } from "../src/modules/index.ts";

/** What a person is told about a configuration, by all modules. */
async function complain(text: string): Promise<string> {
  const { diagnostics } = await compile({
    file: "/x.conf",
    prefix: "/",
    defaultErrorLog: "stderr",
    files: memoryFiles({ "/x.conf": text }),
    modules,
  });
  return diagnostics
    .map((one) => `${formatDiagnostic(one, { program: "wsgate", colour: false })}\n`)
    .join("");
}

test("a directive that has swallowed the next one for want of a semicolon is told from it, block and all", async () => {
  const text = `events {}
http {
  server {
    listen 127.0.0.1:8099
    location / {
      retrun 200;
    }
  }
}
`;
  expect(await complain(text)).toBe(`wsgate: [emerg] directive "listen" is not terminated by ";" in /x.conf:5
   4 |     listen 127.0.0.1:8099
     |                          ^
note: so "location" in line 5 is read as an argument of "listen"
help: add ";" at the end of line 4
wsgate: [emerg] unknown directive "retrun" in /x.conf:6
   6 |       retrun 200;
     |       ^^^^^^
help: did you mean "return"?
`);
});

test("a block that ends with a semicolon, and a block where none may be, are nginx's errors", async () => {
  const complaints = await complain("events;\nevents {}\nhttp {}\npid x {\n}\n");
  expect(complaints).toContain('[emerg] directive "events" has no opening "{" in /x.conf:1\n');
  expect(complaints).toContain('[emerg] directive "pid" is not terminated by ";" in /x.conf:4\n');
});

test("a certificate or key that cannot be read is reported as that, and not as missing, too", async () => {
  const server = (lines: string) => `http { server { listen 1443 ssl;\n${lines}\n} }`;
  const lines = "ssl_certificate no.crt;\nssl_certificate_key no.key;";
  const complaints = await complain(server(lines));
  expect(complaints.match(/\[emerg\].*?:/g)).toEqual([
    '[emerg] cannot load certificate "/no.crt":',
    '[emerg] cannot load certificate key "/no.key":',
  ]);
  expect(await complain(`http { ${lines} server { listen 1443 ssl; } }`)).not.toContain("is defined for");
  expect(await complain(server(""))).toContain('no "ssl_certificate" is defined for the "listen ... ssl"');
});

test("nobody is advised to remove a line that keeps people out", async () => {
  const complaints = await complain(
    "http { server { location / { deny all; satisfy any; gzip_static on; } } }",
  );
  expect(complaints.match(/^help: .*/gm)).toEqual([
    "help: do not just remove the line: what it guards would be open to all. Keep nginx in front of wsgate for it",
    "help: do not just remove the line: what it guards would be open to all. Keep nginx in front of wsgate for it",
    "help: remove the line, or keep nginx in front of wsgate for what it does",
  ]);
});

test.each([
  ["http2 yes;", 'it must be "on" or "off"'],
  [
    "websocket_rate 100;",
    'a rate of messages is "100r/s" or "30r/m", one of bytes "64k/s"; "off" is for none',
  ],
  ["websocket_rate 10r/s burst=many;", "the burst of a rate of messages is a number of messages"],
  ["websocket_allowed_origins https://a.example/chat;", "without a path"],
  ["websocket_drain 30s code=1006;", "a Close frame may carry the codes 1000 to 1003"],
  ["websocket_drain off spread=off;", 'nothing may stand behind "off"'],
  ["websocket_removal keeps;", 'did you mean "keep"?'],
  ["websocket_compression offload level=12;", "level is a whole number from 1 (fast) to 9 (small)"],
  ["websocket_log ends;", 'did you mean "end"?'],
  ["websocket_log off end;", 'nothing may stand behind "off"'],
  ["location /t { websocket_status on; }", 'one of "prometheus" and "json" may stand here'],
])("%s is answered with the line, and with what may stand there", async (line, words) => {
  const complaints = await complain(`http {\nserver {\n${line}\n} }`);
  expect(complaints).toContain("/x.conf:3\n");
  expect(complaints).toContain(words);
});

/** Whose wrong value is no fault of its own, but a name that is not found. */
const NAMES_A_HOST: ReadonlySet<string> = new Set(["resolver"]);

test("every directive that takes off besides something else says so where it is given neither", async () => {
  const silent: string[] = [];
  for (const [name, row] of modules.flatMap(({ directives }) => Object.entries(directives))) {
    if (!row.in.includes("http") || !/\boff\b/.test(row.syntax) || NAMES_A_HOST.has(name)) continue;
    const words = Array.from({ length: Math.max(1, row.arity[0]) }, () => "zzz").join(" ");
    const said = await complain(`http { ${name} ${words}; }`);
    if (/\[emerg\].*(invalid|must)/.test(said) && !/\boff\b/.test(said)) silent.push(name);
  }
  expect(silent).toEqual([]);
});
