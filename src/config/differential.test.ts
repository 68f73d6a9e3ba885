import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { array, assert, asyncProperty, constantFrom, pre, type Arbitrary } from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { testKnowledge } from "../../test/rig/directive-knowledge.ts";
import { requires } from "../../test/rig/requires.ts";
import { isError, reportedLine } from "./diagnostic.ts";
import { headline } from "./format-diagnostic.ts";
import { parseConfig } from "./parse.ts";

/**
 * The real nginx is put to the same texts: it must accept what we accept, and refuse the rest with the same words at
 * the same line. The texts use only directives that nginx 1.22 has, in places where it allows them.
 */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "wsgate-config-"));
  await writeFile(join(folder, "part.conf"), "worker_rlimit_core 1m;\n");
  await writeFile(join(folder, "open.conf"), "http {\n");
  await writeFile(join(folder, "close.conf"), "tcp_nopush on;\n}\n");
  await writeFile(join(folder, "unfinished.conf"), "worker_rlimit_core\n1m");
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** What nginx complains about first, without its log's preamble; null where it is content with the syntax. */
async function askNginx(file: string): Promise<string | null> {
  const output = await new Promise<string>((resolve) => {
    const args = [
      "-t",
      "-p",
      folder,
      "-e",
      "/dev/null",
      "-c",
      file,
      "-g",
      `pid ${folder}/pid; error_log stderr;`,
    ];
    execFile("nginx", args, { encoding: "utf8" }, (_error, _stdout, stderr) => resolve(stderr));
  });
  if (/syntax is ok/.test(output)) return null;
  return /\[(?:emerg|alert|crit)\] (?:\d+#\d+: )?([^]*?)\nnginx: /.exec(output)?.[1] ?? output;
}

const x = (length: number): string => "x".repeat(length);

const corpus: readonly [what: string, text: string][] = [
  ["nothing but a block", "events {}"],
  ["words on lines of their own", "events\n{\n}\nworker_processes\n1\n;"],
  ["Windows line ends", "events {\r\n  worker_connections 10;\r\n}\r\n"],
  ["an error behind Windows line ends", "events {\r\n\r\n}\r\n}\r\n"],
  ["old Mac line ends", "events {\r}\rworker_processes 1;\r"],
  ["tabs", "events\t{\tworker_connections\t10;\t}\t"],
  ["no space around punctuation", "events{worker_connections 10;}worker_processes 1;"],
  ["comments everywhere", "# a\nevents # b {\n{ # c }\n} # d ;"],
  ["a comment ends a line, not a directive", "events {}\nworker_processes # one\n1;"],
  ["a hash inside a word", "events {}\nhttp { log_format a x#y; access_log off; }"],
  ["a hash behind quotes", 'events {}\nhttp { log_format a "x"#y\n; }'],
  ["a quoted name", '"events" {}\n\'worker_processes\' "1";'],
  ["an empty word", 'events {}\nhttp { log_format a ""; }'],
  ["quotes of the other kind inside quotes", `events {}\nhttp { log_format a "it's" 'say "x"'; }`],
  ["quotes inside a word", `events {}\nhttp { log_format a x"y z'; }`],
  ["escaped quotes", String.raw`events {} http { log_format a "\"x\"" '\'' \"x; }`],
  ["an escaped space stays one word", String.raw`events {} http { log_format a x\ ; } }`],
  ["escapes of every kind", String.raw`events {} http { log_format a "\t\r\n\\\d\." x\t\;y \{; }`],
  ["a backslash at the end", "events {}\nworker_processes 1\\"],
  ["a quoted line end", 'events {} http { log_format a "x\ny"; }\n}'],
  ["${name} opens no block", "events {} http { log_format a x${host}y; }"],
  ["${name} at the beginning of a word", 'events {} http { log_format a ${host} "${host}" "{$host}"; }'],
  ["a quoted word may be followed by ;", 'events {} worker_processes "1";'],
  ["a quoted word may be followed by {", '"events"{}'],
  ["a quoted word may be followed by )", 'events {} http { server { if ($host = "a") { return 403; } } }'],
  ["a quoted word may not be followed by a letter", 'events {} worker_processes "1"x;'],
  ["a quoted word may not be followed by a quote", "events {} worker_processes '1'\"2\";"],
  ["a quoted word may not be followed by a backslash", 'events {} worker_processes "1"\\;'],
  ["a quoted word may not be followed by }", 'events { worker_connections "10"}'],
  ["a stray semicolon", "events {};"],
  ["two semicolons", "events {}\nworker_processes 1;;"],
  ["only a semicolon", ";"],
  ["only an opening brace", "{"],
  ["only a closing brace", "}"],
  ["two opening braces", "events {{}}"],
  ["a brace behind a semicolon", "events {}\nhttp { server ; { } }".replace("server ;", "server_tokens on;")],
  ["one closing brace too many", "events {}\n}\n"],
  ["one closing brace too few", "events {\n\n"],
  ["one closing brace too few without a last line end", "events {"],
  ["one closing brace too few, deep inside", "events {}\nhttp {\n server {\n  location / {\n  }\n}\n"],
  ["an unfinished directive", "events {}\nworker_processes 1"],
  ["an unfinished directive and an empty line", "events {}\nworker_processes 1\n"],
  ["an unfinished directive before a brace", "events {\nworker_connections 10\n}\n"],
  ["an unfinished directive in an open block", "events {\nworker_connections 10"],
  ["open quotes", 'events {}\nworker_processes "1;\n'],
  ["open quotes that meet others", 'events {}\nworker_processes "1;\nerror_log "x";\n'],
  ["open single quotes", "events {}\nworker_processes '1;\n"],
  ["the longest word", `events {} http { log_format a ${x(4095)}; }`],
  ["one byte too long", `events {} http { log_format a ${x(4096)}; }`],
  ["the longest word before a space", `events {} http { log_format a ${x(4094)} ; }`],
  ["one byte too long before a space", `events {} http { log_format a ${x(4095)} ; }`],
  ["the longest quoted word", `events {} http { log_format a "${x(4094)}"; }`],
  ["one byte too long in quotes", `events {} http { log_format a "${x(4096)}"; }`],
  ["one byte too long before the semicolon", `events {} http { log_format a "${x(4095)}"; }`],
  ["a long word of many bytes a character", `events {} http { log_format a ${"中".repeat(1365)}; }`],
  ["a long word of too many bytes", `events {} http { log_format a abcdefghij${"中".repeat(1362)}; }`],
  ["open quotes over more than a buffer", `events {}\nhttp { log_format a "x;\n${"# y\n".repeat(1100)}}`],
  ["a long word on a later line", `events {}\n\nhttp {\n log_format a\n ${x(5000)}; }`],
  ["UTF-8 in words and comments", "events {} # 简单示例\nhttp { server { server_name 域名.cn; } }"],
  ["an include", "events {}\ninclude part.conf;"],
  ["an include by a pattern", "events {}\ninclude par?.con[ef];"],
  ["an include by a pattern without a match", "events {}\ninclude nothing*.conf;"],
  ["an include of a missing file", "events {}\n\ninclude nothing.conf;"],
  ["an include without a file", "events {} include;"],
  ["an include of two files", "events {} include part.conf part.conf;"],
  ["an include with a block", "events {}\ninclude part.conf {}"],
  ["an included file that leaves a block open", "events {}\ninclude open.conf;\n}"],
  ["an included file that closes a block of its parent", "events {}\nhttp {\n include clos*.conf;\n"],
  ["an included file with an unfinished directive", "events {}\ninclude unfinished.conf;\n;"],
  ["an error before an include that fails", "events {};\ninclude nothing.conf;"],
  ["an include that fails before an error", "events {}\ninclude nothing.conf;\n;"],
  ["events never closed", "events {\nworker_connections 10;\nhttp {\n}\n"],
  ["server never closed", "events {}\nhttp {\nserver {\nlisten 1;\nserver {\nlisten 2;\n}\n}\n"],
  ["server without a brace", "events {}\nhttp {\nserver\nlisten 1;\n}\n}\n"],
  ["location closed twice", "events {}\nhttp {\n server {\n  location / {\n  }\n  }\n  listen 1;\n }\n}\n"],
];

beforeEach((context) => {
  requires(context, "nginx");
});

test.each(corpus)("nginx says the same about %s", async (_, text) => {
  const file = join(folder, "nginx.conf");
  await writeFile(file, text);
  const ours = parseConfig({ ...testKnowledge, file, text }).diagnostics.find(isError);
  expect(ours === undefined ? null : headline(ours)).toBe(await askNginx(file));
});

/**
 * What follows `include /none` ends in nginx's words in one way or another: as the name of a file that cannot be
 * opened, so that the word shows as it was understood, or in some error of syntax.
 */
const anyWord: Arbitrary<string> = array(
  constantFrom(...Array.from("ab./ \t\n\r\v\"\"''\\\\\\$${}};#()é中trn"), "${"),
  { maxLength: 24 },
).map((chars) => chars.join(""));

test("nginx reads every word as we do", async () => {
  const file = join(folder, "nginx.conf");
  await assert(
    asyncProperty(anyWord, constantFrom("", ";", '";', "';\n"), async (word, ending) => {
      const text = `events {}\ninclude /none/${word}${ending}`;
      await writeFile(file, text);
      const nginx = await askNginx(file);
      // Of a character of several bytes nginx shows the first alone; another test looks at that.
      pre(nginx?.includes("\ufffd") !== true);
      const ours = parseConfig({ ...testKnowledge, file, text }).diagnostics;
      // What follows the include, and nginx no longer reads, may have errors of its own.
      expect(ours.map((error) => `${error.message} in ${file}:${reportedLine(error)}`)).toContain(nginx);
    }),
    { numRuns: 200 },
  );
});

// Where we differ on purpose: [what, text, our first line or null, nginx's].
const differences: readonly [what: string, text: string, ours: string | null, nginx: string | null][] = [
  [
    "a long comment, which nginx takes for a word",
    `# ${x(5000)}\nevents {}`,
    null,
    'too long parameter "# xxxxxxxx..." started in FILE:1',
  ],
  [
    "a byte order mark, which nginx takes for a letter",
    "\ufeffevents {}",
    null,
    'unknown directive "\ufeffevents" in FILE:1',
  ],
  [
    "a folder in place of a file, where nginx does not say who wants it",
    "events {}\ninclude /;",
    'pread() "/" failed (21: Is a directory) in FILE:2',
    'pread() "/" failed (21: Is a directory)',
  ],
  [
    "a NUL, which ends the name in nginx's message",
    "events\0 {}",
    "unexpected NUL byte in FILE:1",
    'unknown directive "events" in FILE:1',
  ],
  [
    "a letter of several bytes, of which nginx prints the first",
    'events {} worker_processes "1"中;',
    'unexpected "中" in FILE:1',
    'unexpected "\ufffd" in FILE:1',
  ],
];

test.each(differences)("we differ on purpose about %s", async (_, text, ours, nginx) => {
  const file = join(folder, "nginx.conf");
  await writeFile(file, text);
  const error = parseConfig({ ...testKnowledge, file, text }).diagnostics.find(isError);
  expect(error === undefined ? null : headline(error).replace(file, "FILE")).toBe(ours);
  expect((await askNginx(file))?.replace(file, "FILE")).toBe(nginx);
});
