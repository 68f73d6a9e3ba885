/** `wsgate lint` as a person types it: the real binary on real files. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { rules } from "../src/doctor/lint/rules/index.ts";
import { within } from "./rig/deadline.ts";
import { useRig } from "./rig/ledger.ts";
import { GrowingText } from "./rig/log.ts";
import { REPOSITORY, runGate, temporaryFolder } from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";

useRig();

const SEEDS = join(REPOSITORY, "../shared/seeds");
const EXAMPLES = join(REPOSITORY, "examples");

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs lint in a folder with these files. */
async function lintIn(
  files: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Outcome & { readonly folder: string; readonly read: (name: string) => string }> {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const outcome = await runGate(["lint", ...args], { cwd: folder });
  return { ...outcome, folder, read: (name) => readFileSync(join(folder, name), "utf8") };
}

/** The rules that find something at or above warning, in the order in which it is said. */
async function rulesFinding(file: string, ...args: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await runGate(["lint", "--json", "--severity", "warning", ...args, file]);
  const { findings }: { findings: readonly { rule: string; line: number; message: string }[] } =
    JSON.parse(stdout);
  return findings.map(({ rule, line }) => `${rule}:${line}`);
}

const HALF_SET = `events {}
http {
    server {
        listen 80;
        location /ws {
            proxy_pass http://127.0.0.1:3000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
        }
    }
}
`;
const WHOLE = HALF_SET.replace(
  "Upgrade $http_upgrade;",
  'Upgrade $http_upgrade;\n            proxy_set_header Connection "upgrade";',
);

describe("healthy configurations", () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const examples = folders.map(({ name }) => name);

  test.each(examples)("finds no fault in examples/%s", async (name) => {
    expect(await rulesFinding(join(EXAMPLES, name, "nginx.conf"))).toEqual([]);
  });

  test("has no more to say of the quickstart than that nginx would not run it", async () => {
    const { stdout } = await runGate(["lint", "--json", join(EXAMPLES, "quickstart/nginx.conf")]);
    const { findings }: { findings: readonly { rule: string }[] } = JSON.parse(stdout);
    expect(findings.map(({ rule }) => rule)).toEqual(["unknown-to-nginx"]);
  });

  const both = readFileSync(join(EXAMPLES, "README.md"), "utf8")
    .split("\n")
    .filter((line) => line.includes("*nginx too* |"))
    .map((line) => /\[([\w-]+)\]/.exec(line)?.[1] ?? "");

  test.each(both)("finds no fault in examples/%s under nginx either", async (name) => {
    expect(await rulesFinding(join(EXAMPLES, name, "nginx.conf"), "--for", "nginx")).toEqual([]);
  });

  test("finds no fault in Debian's own nginx.conf", async (context) => {
    const file = "/etc/nginx/nginx.conf";
    if (!existsSync(file)) context.skip(`${file} is missing`);
    expect(await rulesFinding(file)).toEqual([]);
  });

  /** What is wrong with each seed, and nothing else. */
  const SEED_FAULTS: Readonly<Record<string, readonly string[]>> = {
    // "upgrade" goes with every request to the location /.
    "s0-example-1-server.conf": ["connection-always-upgrade:7"],
    // mime.types does not lie beside it.
    "s0-example-2-http.conf": ["syntax:2"],
    "s0-example-2-server.conf": [],
    "s1-chat.broken.conf": ["syntax:6", "syntax:6"],
    "s1-chat.conf": [],
    "s1-conf.d-websocket.conf": [],
    "s3-location.conf": [],
    "s4-literal-upgrade.broken.conf": ["semicolon-missing:6", "upgrade-literal:6"],
    "s4-map-keepalive.conf": [],
    "s4-path.conf": ["syntax:7"],
    "s4-read-timeout.conf": [],
  };

  test.each(Object.entries(SEED_FAULTS))(
    "finds in the seed %s what is wrong with it: %j",
    async (name, faults) => {
      expect(existsSync(SEEDS)).toBe(true);
      expect(await rulesFinding(join(SEEDS, name))).toEqual(faults);
    },
  );
});

describe("what it says", () => {
  test("shows each finding with its line, why it matters, and the mend", async () => {
    const { code, stdout, folder } = await lintIn(
      { "nginx.conf": HALF_SET },
      "--severity",
      "warning",
      "nginx.conf",
    );
    expect(code).toBe(1);
    expect(
      stdout.replaceAll(folder, "FOLDER"),
    ).toBe(`wsgate: [error] upgrade-half-set: Upgrade is passed on, and Connection is not in FOLDER/nginx.conf:8
   8 |             proxy_set_header Upgrade $http_upgrade;
     |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
note: ${rules.find(({ name }) => name === "upgrade-half-set")?.why}
help: add: proxy_set_header Connection $connection_upgrade; (--fix does it)

1 file: 1 error
`);
  });

  test("names the file and the line of what stands in an included file", async () => {
    const { stdout } = await lintIn(
      {
        "nginx.conf": "events {}\nhttp {\n    include sites/*.conf;\n}\n",
        "sites/a.conf": "server {\n    listen 80;\n    server_name a.example;\n}\n",
        "sites/b.conf": "server {\n    listen 443;\n    server_name b.example;\n}\n",
      },
      "--severity",
      "warning",
      "nginx.conf",
    );
    expect(stdout).toMatch(/tls-port-without-tls: .* in \S+sites\/b\.conf:2$/m);
    expect(stdout).toMatch(/^note: included from \S+nginx\.conf:3$/m);
    expect(stdout).toMatch(/^3 files: 1 error$/m);
  });

  test.each([
    ["http://127.0.0.1:3000", "127.0.0.1:3000"],
    ["http://[::1]:3000", "[::1]:3000"],
    ["http://backend.example:80", "backend.example"],
    ["https://backend.example:443/x", "backend.example"],
    ["https://backend.example:80", "backend.example:80"],
    ["http://unix:/run/app.sock:/", "localhost"],
  ])("proxy_pass %s sends the Host that nginx makes of it", async (url, host) => {
    const location = `location / { proxy_pass ${url}; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`;
    const config = `events {}\nhttp { server { listen 8080; ${location} } }\n`;
    const { stdout } = await lintIn({ "nginx.conf": config }, "nginx.conf");
    expect(stdout).toContain(`the backend is sent "Host: ${host}"`);
  });

  test("directives of any module are no obstacle", async () => {
    const { code, stdout } = await lintIn(
      {
        "nginx.conf": `load_module modules/x.so;
events {}
mail { server { listen 25; protocol smtp; } }
stream { server { listen 1; proxy_pass 127.0.0.1:2; proxy_timeout 1h; } }
http { gzip on; lua_shared_dict d 1m; server { listen 80; location ~ \\.php$ { fastcgi_pass unix:/x; fastcgi_param A $b; }
  location /g { grpc_pass 127.0.0.1:1; content_by_lua_block { ngx.say("it's } a {") } } more_set_headers 'A: b'; } }
`,
      },
      "--severity",
      "warning",
      "nginx.conf",
    );
    expect(stdout).toBe("1 file: no findings\n");
    expect(code).toBe(0);
  });

  test("an include that is missing on this machine is said, and the rest is looked at all the same", async () => {
    const text = HALF_SET.replace("http {", "http {\n    include absent.conf;");
    const { code, stdout } = await lintIn({ "nginx.conf": text }, "--json", "nginx.conf");
    const { findings }: { findings: readonly { rule: string; severity: string }[] } = JSON.parse(stdout);
    const grave = findings.filter(({ severity }) => severity !== "info");
    expect(grave.map(({ rule, severity }) => `${severity} ${rule}`)).toEqual([
      "error upgrade-half-set",
      "warning syntax",
    ]);
    expect(code).toBe(1);
  });

  test("what an include that is missing here may define is not called undefined", async () => {
    const text = WHOLE.replace('"upgrade"', "$connection_upgrade");
    const { stdout } = await lintIn({ "nginx.conf": text }, "nginx.conf");
    expect(stdout).toContain("connection-variable-undefined");
    const partial = text.replace("http {", "http {\n    include absent.conf;");
    const { stdout: others } = await lintIn({ "nginx.conf": partial }, "nginx.conf");
    expect(others).not.toContain("connection-variable-undefined");
  });

  test("a file with directives of wsgate's own is not told what only nginx needs", async () => {
    const text = HALF_SET.replace(/proxy_http_version[^}]*/, "websocket_ping_interval 30s;\n        ");
    const rulesOf = async (...args: readonly string[]): Promise<readonly string[]> => {
      const { stdout } = await lintIn({ "nginx.conf": text }, "--json", ...args, "nginx.conf");
      const { findings }: { findings: readonly { rule: string }[] } = JSON.parse(stdout);
      return findings.map(({ rule }) => rule);
    };
    expect(await rulesOf("--for", "nginx")).toContain("upgrade-http-version");
    expect(await rulesOf()).not.toContain("upgrade-http-version");
  });

  test("a file with an error of syntax gets the parser's diagnosis alone", async () => {
    const { code, stdout } = await lintIn({ "nginx.conf": HALF_SET.replace(/\}\n$/, "") }, "nginx.conf");
    expect(code).toBe(1);
    expect(stdout).toMatch(/^wsgate: \[emerg\] unexpected end of file, expecting "}" in \S+nginx\.conf:11$/m);
    expect(stdout).not.toContain("upgrade-half-set");
  });

  test("--json is one object with the place, the text and the mend of each finding", async () => {
    const { stdout, folder } = await lintIn(
      { "nginx.conf": HALF_SET },
      "--json",
      "--rule",
      "upgrade-half-set",
      "nginx.conf",
    );
    expect(JSON.parse(stdout)).toEqual({
      files: [join(folder, "nginx.conf")],
      ignored: 0,
      findings: [
        {
          rule: "upgrade-half-set",
          severity: "error",
          file: join(folder, "nginx.conf"),
          line: 8,
          column: 13,
          length: 39,
          text: "            proxy_set_header Upgrade $http_upgrade;",
          message: "Upgrade is passed on, and Connection is not",
          why: expect.any(String),
          notes: [],
          help: "add: proxy_set_header Connection $connection_upgrade;",
          fixable: true,
        },
      ],
    });
  });

  test("several files are looked at one by one", async () => {
    const { code, stdout } = await lintIn(
      { "a.conf": WHOLE, "b.conf": HALF_SET },
      "--severity",
      "error",
      "a.conf",
      "b.conf",
    );
    expect(stdout.match(/^1 file: .*$/gm)).toEqual(["1 file: no findings", "1 file: 1 error"]);
    expect(code).toBe(1);
  });

  test("takes what nginx -T writes, with the names and the lines of its files", async (context) => {
    requires(context, "nginx");
    const folder = temporaryFolder();
    mkdirSync(join(folder, "sites"));
    writeFileSync(join(folder, "sites/a.conf"), HALF_SET.split("\n").slice(2, -2).join("\n"));
    writeFileSync(join(folder, "nginx.conf"), "events {}\nhttp {\n    include sites/*.conf;\n}\n");
    const dump = spawnSync("nginx", ["-T", "-c", join(folder, "nginx.conf"), "-g", `pid ${folder}/pid;`], {
      encoding: "utf8",
    });
    const args = [join(REPOSITORY, "bin/wsgate"), "lint", "--json", "--rule", "upgrade-half-set", "-"];
    const run = spawnSync(process.execPath, args, { input: dump.stderr + dump.stdout, encoding: "utf8" });
    const said: { files: readonly string[]; findings: readonly { file: string; line: number }[] } =
      JSON.parse(run.stdout);
    expect(said.files).toEqual([join(folder, "nginx.conf"), join(folder, "sites/a.conf")]);
    expect(said.findings).toMatchObject([{ file: join(folder, "sites/a.conf"), line: 6 }]);
    expect(run.status).toBe(1);
  });

  test("takes a configuration from the standard input", () => {
    const args = [join(REPOSITORY, "bin/wsgate"), "lint", "--severity", "error", "-"];
    const run = spawnSync(process.execPath, args, { input: HALF_SET, encoding: "utf8" });
    expect(run.stdout).toContain("in standard input:8\n");
    expect(run.status).toBe(1);
  });

  test("--prefix is where relative includes of a single site belong to", async () => {
    const files = {
      "sites/a.conf":
        "server { listen 80; location /ws { include proxy.conf; proxy_pass http://127.0.0.1:1; } }\n",
      "proxy.conf": "proxy_set_header Upgrade $http_upgrade;\n",
    };
    const { stdout } = await lintIn(files, "--prefix", ".", "--severity", "error", "sites/a.conf");
    expect(stdout).toContain("upgrade-half-set");
    expect(stdout).not.toContain("failed (2:");
  });

  test.each([
    ["the longest prefix", "/app/room", "3000"],
    ["an exact location", "/app", "3001"],
    ["a regular expression before a prefix", "/v2/room", "3002"],
    ["a prefix before a regular expression, where it says so", "/kept/v2/room", "3003"],
    ["a nested location", "/nested/inner/room", "3004"],
    ["the path of a URL", "wss://example.com/app/room?token=1", "3000"],
  ])("--socket names a location by the path that it takes: %s", async (_, socket, port) => {
    const location = (head: string, number: string, inner = "") =>
      `location ${head} { proxy_pass http://127.0.0.1:${number}; ${inner} }\n`;
    const text = `events { worker_connections 4096; }
http { server { listen 80;
${location("/app/", "3000")}${location("= /app", "3001")}${location("~ v\\d/", "3002")}${location("^~ /kept/", "3003")}
${location("/nested/", "3005", `\n${location("/nested/inner/", "3004")}`)}
${location("/", "3006")} } }
`;
    const findings = async (...args: string[]): Promise<readonly string[]> => {
      const { stdout } = await lintIn({ "nginx.conf": text }, "--rule", "upgrade-headers-missing", ...args);
      return [...stdout.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, number = ""]) => number);
    };
    expect(await findings("nginx.conf")).toEqual([]);
    expect(new Set(await findings("--socket", socket, "nginx.conf"))).toEqual(new Set([port]));
  });

  test("--for leaves out what does not matter to the program that runs the file", async () => {
    const text = WHOLE.replace(
      "listen 80;",
      "listen 80;\n        sendfile on;\n        websocket_ping_interval 5s;",
    );
    const rulesOf = async (...args: string[]): Promise<readonly string[]> => {
      const { stdout } = await lintIn({ "nginx.conf": text }, "--json", ...args, "nginx.conf");
      const { findings }: { findings: readonly { rule: string; severity: string }[] } = JSON.parse(stdout);
      return findings.map(({ rule, severity }) => `${severity} ${rule}`);
    };
    const forNginx = await rulesOf("--for", "nginx");
    expect(forNginx).toContain("error unknown-to-nginx");
    expect(forNginx).toContain("info read-timeout-default");
    expect(forNginx).not.toContain("info without-effect-in-wsgate");
    const forWsgate = await rulesOf("--for", "wsgate");
    expect(forWsgate).toContain("info without-effect-in-wsgate");
    expect(forWsgate).not.toContain("info read-timeout-default");
  });

  test("--nginx-version takes back what newer versions do by default", async () => {
    const text = WHOLE.replace("            proxy_http_version 1.1;\n", "");
    const find = async (...args: string[]): Promise<number | null> =>
      (await lintIn({ "nginx.conf": text }, ...args, "nginx.conf")).code;
    expect(await find()).toBe(1);
    expect(await find("--nginx-version", "1.29.6")).toBe(1);
    expect(await find("--nginx-version", "1.29.7")).toBe(0);
  });
});

/** The parts of SARIF 2.1.0's schema that code review tools read, as a check that names what is wrong. */
interface SarifRegion {
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}
interface SarifLocation {
  readonly physicalLocation: {
    readonly artifactLocation: { readonly uri: string };
    readonly region: SarifRegion & { readonly snippet: { readonly text: string } };
  };
}
interface Sarif {
  readonly version: string;
  readonly $schema: string;
  readonly runs: readonly {
    readonly columnKind: string;
    readonly tool: {
      readonly driver: {
        readonly name: string;
        readonly rules: readonly {
          readonly id: string;
          readonly shortDescription: { readonly text: string };
          readonly defaultConfiguration: { readonly level: string };
        }[];
      };
    };
    readonly results: readonly {
      readonly ruleId: string;
      readonly ruleIndex: number;
      readonly level: string;
      readonly message: { readonly text: string };
      readonly locations: readonly SarifLocation[];
      readonly relatedLocations: readonly SarifLocation[];
      readonly fixes?: readonly {
        readonly artifactChanges: readonly {
          readonly artifactLocation: { readonly uri: string };
          readonly replacements: readonly {
            readonly deletedRegion: SarifRegion;
            readonly insertedContent: { readonly text: string };
          }[];
        }[];
      }[];
    }[];
  }[];
}

/** Makes the changes of a fix as a code review tool would: by line and column, in code points. */
function applyReplacements(
  text: string,
  replacements: readonly {
    readonly deletedRegion: SarifRegion;
    readonly insertedContent: { readonly text: string };
  }[],
): string {
  const chars = Array.from(text);
  const offsetOf = (line: number, column: number): number => {
    let at = 0;
    for (let n = 1; n < line; n++) at = chars.indexOf("\n", at) + 1;
    return at + column - 1;
  };
  const edits = replacements.map(({ deletedRegion: region, insertedContent }) => ({
    start: offsetOf(region.startLine, region.startColumn),
    end: offsetOf(region.endLine, region.endColumn),
    text: insertedContent.text,
  }));
  for (const edit of edits.toSorted((a, b) => b.start - a.start))
    chars.splice(edit.start, edit.end - edit.start, edit.text);
  return chars.join("");
}

describe("--sarif", () => {
  const text = HALF_SET.replace("listen 80;", "listen 80; # Größe 🙂 🙂");

  async function sarif(): Promise<Sarif["runs"][number]> {
    const { stdout, code } = await lintIn({ "sites/größe 1.conf": text }, "--sarif", "sites/größe 1.conf");
    expect(code).toBe(1);
    const log: Sarif = JSON.parse(stdout);
    expect(log.version).toBe("2.1.0");
    expect(log.$schema).toMatch(/^https:.*sarif-2\.1\.0\.json$/);
    const [run] = log.runs;
    if (run === undefined) throw new Error("no run");
    return run;
  }

  test("names tool and rules, each once, and every result refers to its rule", async () => {
    const { tool, results } = await sarif();
    expect(tool.driver.name).toBe("wsgate lint");
    const ids = tool.driver.rules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(rules.map(({ name }) => name)));
    expect(results.length).toBeGreaterThan(2);
    for (const { ruleId, ruleIndex, level, message } of results) {
      expect(ids[ruleIndex]).toBe(ruleId);
      expect(["error", "warning", "note"]).toContain(level);
      expect(message.text).toMatch(/\.$/);
    }
  });

  test("places are relative references with lines and columns from 1, in code points", async () => {
    const { results, columnKind } = await sarif();
    expect(columnKind).toBe("unicodeCodePoints");
    for (const { locations, relatedLocations } of results) {
      expect(locations).toHaveLength(1);
      for (const { physicalLocation } of [...locations, ...relatedLocations]) {
        const { artifactLocation, region } = physicalLocation;
        expect(artifactLocation.uri).toBe("sites/gr%C3%B6%C3%9Fe%201.conf");
        const lines = text.split("\n");
        expect(region.snippet.text).toBe(lines[region.startLine - 1]);
        expect(region.endLine).toBeGreaterThanOrEqual(region.startLine);
        expect(region.startColumn).toBeGreaterThan(0);
        expect(region.endColumn).toBeGreaterThan(region.startColumn);
        expect(region.endColumn).toBeLessThanOrEqual(Array.from(lines[region.endLine - 1] ?? "").length + 1);
      }
    }
  });

  test("a fix, made by line and column, mends the file", async () => {
    const { results } = await sarif();
    const result = results.find(({ ruleId }) => ruleId === "upgrade-half-set");
    const [change] = result?.fixes?.[0]?.artifactChanges ?? [];
    const mended = applyReplacements(text, change?.replacements ?? []);
    expect(mended).toContain("Connection $connection_upgrade;\n");
    expect(mended).toContain("map $http_upgrade $connection_upgrade {");
    expect((await lintIn({ "nginx.conf": mended }, "nginx.conf")).code).toBe(0);
  });
});

describe("exit codes and flags", () => {
  test.each([
    ["a file without faults", WHOLE, [], 0],
    ["notes alone", WHOLE, ["--severity", "info"], 0],
    ["a fault", HALF_SET, [], 1],
    [
      "a fault that is not shown",
      HALF_SET.replace("/ws {", "/ws {\n proxy_read_timeout 5s;"),
      ["--rule", "alias-traversal"],
      0,
    ],
  ] as const)("%s: %#", async (_, text, args, code) => {
    expect((await lintIn({ "nginx.conf": text }, ...args, "nginx.conf")).code).toBe(code);
  });

  test.each([
    [["absent.conf"], /absent\.conf" failed \(2: No such file or directory\)/],
    [["."], /failed \(21: Is a directory\)/],
    [[], /which file\?/],
    [["--rule", "no-such-rule", "x"], /there is no rule "no-such-rule"/],
    [["--explain", "no-such-rule"], /there is no rule "no-such-rule"/],
    [["--severity", "fatal", "x"], /--severity takes error, warning, info, not "fatal"/],
    [["--yes", "x"], /belong to --fix/],
    [["--json", "--sarif", "x"], /exclude each other/],
    [["--fix", "-"], /cannot write what came by the standard input/],
    [["--fix", "--json", "x"], /neither --json nor --sarif/],
    [["--nginx-version", "new", "x"], /not "new"/],
    [["--wrong", "x"], /--wrong/],
  ] as const)("%j cannot be done: code 2 and a reason", async (args, reason) => {
    const { code, stdout, stderr } = await lintIn({}, ...args);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^wsgate lint: .+\n$/);
    expect(stderr).toMatch(reason);
  });

  test("--list names every rule, --explain says all of one, --help shows how", async () => {
    const list = await lintIn({}, "--list");
    expect(list.stdout.trim().split("\n")).toHaveLength(rules.length);
    const explained = await lintIn({}, "--explain", "alias-traversal");
    expect(explained.code).toBe(0);
    expect(explained.stdout).toMatch(
      /^alias-traversal \(error\): .+\n[^]*Not this [^]*alias \/srv\/files\/; # <--[^]*but this:/,
    );
    const help = await lintIn({}, "--help");
    expect(help.stdout).toMatch(/^usage: wsgate lint .*\n[^]*wsgate lint --fix --dry-run nginx\.conf/);
  });
});

describe("comments that ignore", () => {
  const withComment = (comment: string): string =>
    HALF_SET.replace(
      "            proxy_set_header Upgrade",
      `${comment}\n            proxy_set_header Upgrade`,
    );

  test.each([
    [
      "on the line before",
      withComment("            # wsgate-lint: ignore upgrade-half-set -- tested by hand"),
    ],
    ["with other comments between", withComment("# wsgate-lint: ignore upgrade-half-set\n# more\n")],
    [
      "on the line itself",
      HALF_SET.replace("$http_upgrade;", "$http_upgrade; # wsgate-lint: ignore upgrade-half-set"),
    ],
    [
      "among other rules",
      HALF_SET.replace(
        "$http_upgrade;",
        "$http_upgrade;# wsgate-lint: ignore upgrade-half-set, read-timeout-short",
      ),
    ],
  ])("%s", async (_, text) => {
    const { stdout } = await lintIn({ "nginx.conf": text }, "--severity", "warning", "nginx.conf");
    expect(stdout).not.toContain("upgrade-half-set:");
    expect(stdout).toContain("1 ignored by comments");
    expect(stdout.includes("unused-ignore: read-timeout-short finds nothing")).toBe(
      text.includes("read-timeout-short"),
    );
  });

  test.each([
    ["upgrade-half-set", "upgrade-half-set finds nothing in line 4"],
    ["no-such-rule", 'there is no rule "no-such-rule"'],
  ])("one of %s that ignores nothing is a finding", async (rule, message) => {
    const text = WHOLE.replace("listen 80;", `listen 80; # wsgate-lint: ignore ${rule}`);
    const { code, stdout } = await lintIn({ "nginx.conf": text }, "--severity", "warning", "nginx.conf");
    expect(code).toBe(1);
    expect(stdout).toContain(`unused-ignore: ${message}`);
  });

  test("one that cannot be read is a finding, and so is none in a quoted word", async () => {
    const text = WHOLE.replace(
      "listen 80;",
      "listen 80; # wsgate-lint: disable all\n add_header A 'x# wsgate-lint: nothing';",
    );
    const { stdout } = await lintIn({ "nginx.conf": text }, "--severity", "warning", "nginx.conf");
    expect(stdout.match(/unused-ignore:/g)).toHaveLength(1);
  });

  test("with --rule, a comment about another rule is not called unused", async () => {
    const text = HALF_SET.replace("$http_upgrade;", "$http_upgrade; # wsgate-lint: ignore upgrade-half-set");
    const { code } = await lintIn({ "nginx.conf": text }, "--rule", "alias-traversal", "nginx.conf");
    expect(code).toBe(0);
  });
});

const MENDED_LINES = `            proxy_set_header Upgrade $http_upgrade;
+            proxy_set_header Connection $connection_upgrade;`;

describe("--fix", () => {
  test("shows what it would change and writes nothing with --dry-run", async () => {
    const { stdout, read } = await lintIn({ "nginx.conf": HALF_SET }, "--fix", "--dry-run", "nginx.conf");
    expect(stdout).toMatch(/^--- \S+nginx\.conf\n\+\+\+ \S+nginx\.conf \(mended\)\n@@ -1,5 \+1,9 @@\n/);
    expect(stdout).toContain(MENDED_LINES);
    expect(read("nginx.conf")).toBe(HALF_SET);
  });

  test("writes nothing where there is nobody to ask, and says so", async () => {
    const { code, stderr, read } = await lintIn({ "nginx.conf": HALF_SET }, "--fix", "nginx.conf");
    expect(stderr).toContain("add --yes");
    expect(read("nginx.conf")).toBe(HALF_SET);
    expect(code).toBe(1);
  });

  test.for([
    ["y", true],
    ["n", false],
    ["", false],
  ] as const)(
    "on a terminal asks, and %j is taken for what it says",
    async ([answer, isWritten], context) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, "nginx.conf"), HALF_SET);
      const command = `${process.execPath} ${join(REPOSITORY, "bin/wsgate")} lint --fix ${join(folder, "nginx.conf")}`;
      const run = spawnSync("script", ["-qec", command, "/dev/null"], {
        input: `${answer}\n`,
        encoding: "utf8",
        timeout: 15_000,
      });
      if (run.error !== undefined) context.skip("script is missing: apt-get install bsdutils");
      expect(run.stdout).toContain("Write this file? [y/N]");
      expect(readFileSync(join(folder, "nginx.conf"), "utf8") !== HALF_SET).toBe(isWritten);
      expect(run.status).toBe(isWritten ? 0 : 1);
    },
  );

  test.for([
    ["Ctrl-C ends it", "\u0003", 130, /\[y\/N\] \S*\n$/],
    ["Ctrl-D is no answer", "\u0004", 1, /\[y\/N\] \S*\n[^]*1 file: 1 error/],
  ] as const)("on a terminal asks, and %s", async ([, key, code, said], context) => {
    requires(context, "script");
    const folder = temporaryFolder();
    writeFileSync(join(folder, "nginx.conf"), HALF_SET);
    const command = `${process.execPath} ${join(REPOSITORY, "bin/wsgate")} lint --fix ${join(folder, "nginx.conf")}`;
    const run = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"] });
    const shown = new GrowingText();
    run.stdout.setEncoding("utf8").on("data", (chunk: string) => shown.push(chunk.replaceAll("\r", "")));
    const closed = once(run, "close");
    await shown.waitFor(/\[y\/N\]/);
    run.stdin.end(key);
    expect(await within(closed, "lint on a terminal to end")).toEqual([code, null]);
    expect(shown.text).toMatch(said);
    expect(shown.text).not.toMatch(/AbortError/);
    expect(readFileSync(join(folder, "nginx.conf"), "utf8")).toBe(HALF_SET);
  });

  test("with --yes writes, finds nothing more to mend, and leaves the rest as it is, byte for byte", async () => {
    const odd = `\ufeff# Größe 漢字 🙂\r\n${HALF_SET.replaceAll("\n", "\r\n")}\t # no end of line`;
    const { code, stdout, read, folder } = await lintIn(
      { "nginx.conf": odd },
      "--fix",
      "--yes",
      "nginx.conf",
    );
    expect(stdout).toContain("mended: ");
    const map =
      "    map $http_upgrade $connection_upgrade {\r\n        default upgrade;\r\n        ''      close;\r\n    }\r\n";
    const expected = odd
      .replace("    server {", `${map}    server {`)
      .replace(
        "$http_upgrade;\r\n",
        "$http_upgrade;\r\n            proxy_set_header Connection $connection_upgrade;\r\n",
      );
    expect(read("nginx.conf")).toBe(expected);
    // The byte order mark, which nginx refuses, is still complained of.
    expect(code).toBe(1);
    const again = await runGate(["lint", "--fix", "--yes", join(folder, "nginx.conf")]);
    expect(again.stdout).not.toContain("mended");
    expect(read("nginx.conf")).toBe(expected);
  });

  test("writes into the file where the fault is, through an include and a link", async () => {
    const folder = temporaryFolder();
    for (const name of ["sites-available", "sites-enabled"]) mkdirSync(join(folder, name));
    const main = "events {}\nhttp { include sites-enabled/*; }\n";
    writeFileSync(join(folder, "nginx.conf"), main);
    writeFileSync(join(folder, "sites-available/a"), HALF_SET.split("\n").slice(2, -2).join("\n"));
    symlinkSync("../sites-available/a", join(folder, "sites-enabled/a"));
    const { code } = await runGate(["lint", "--fix", "--yes", join(folder, "nginx.conf")]);
    expect(code).toBe(0);
    expect(readFileSync(join(folder, "nginx.conf"), "utf8")).toBe(main);
    expect(readFileSync(join(folder, "sites-available/a"), "utf8")).toContain(
      "Connection $connection_upgrade;",
    );
  });

  test("a file that two servers include is mended once", async () => {
    const server = (port: number): string =>
      `server { listen ${port}; location /ws { proxy_pass http://127.0.0.1:1; include three.conf; } }\n`;
    const { code, read } = await lintIn(
      {
        "nginx.conf": `events {}\nhttp {\n${server(1)}${server(2)}}\n`,
        "three.conf": "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\n",
      },
      "--fix",
      "--yes",
      "nginx.conf",
    );
    expect(code).toBe(0);
    expect(read("three.conf")).toBe(
      "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\n",
    );
  });

  test("mends only what --rule names", async () => {
    const text = HALF_SET.replace("proxy_http_version 1.1;", "proxy_http_version 1.0;");
    const { read } = await lintIn(
      { "nginx.conf": text },
      "--fix",
      "--yes",
      "--rule",
      "upgrade-http-version",
      "nginx.conf",
    );
    expect(read("nginx.conf")).toBe(HALF_SET);
  });

  test("leaves a file alone whose bytes are no UTF-8", async () => {
    const folder = temporaryFolder();
    const bytes = Buffer.concat([Buffer.from("# caf\xe9\n", "latin1"), Buffer.from(HALF_SET)]);
    writeFileSync(join(folder, "nginx.conf"), bytes);
    const { stdout } = await runGate(["lint", "--fix", "--yes", join(folder, "nginx.conf")]);
    expect(readFileSync(join(folder, "nginx.conf"))).toEqual(bytes);
    expect(stdout).not.toContain("(--fix does it)");
  });
});
