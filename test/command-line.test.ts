import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { leafFiles } from "./rig/certificates.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { waitForFile } from "./rig/log.ts";
import { reservePort } from "./rig/ports.ts";
import { REPOSITORY, runGate, startCommand, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

/** The command line as a person meets it: flags, messages, exit codes, and what a refused start leaves behind. */

useRig();

const PLAIN = "events {}\nhttp { access_log off; server { listen 127.0.0.1:0; return 200 ok; } }\n";

/** A folder with nginx.conf in it. */
function folderWith(config: string = PLAIN, files: Readonly<Record<string, string>> = {}): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries({ "nginx.conf": config, ...files })) {
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

describe("flags", () => {
  test("a wrong one is refused in nginx's words, with exit code 1", async () => {
    expect(await runGate(["-tx"])).toMatchObject({
      code: 1,
      stderr: 'wsgate: invalid option: "x"\n',
      stdout: "",
    });
    expect(await runGate(["file.conf"])).toMatchObject({ code: 1 });
  });

  test.each([
    ["-tc FILE", ["-tc", "nginx.conf"]],
    ["-tcFILE", ["-tcnginx.conf"]],
    ["-c FILE -t", ["-c", "nginx.conf", "-t"]],
    ["-t in the folder of nginx.conf", ["-t"]],
    ["-t -p FOLDER", ["-t", "-p", "."]],
  ])("%s tests the configuration", async (_name, args) => {
    const folder = folderWith();
    const { code, stdout, stderr } = await runGate(args, { cwd: folder });
    expect(stderr).toBe(
      `wsgate: the configuration file ${folder}/nginx.conf syntax is ok\n` +
        `wsgate: configuration file ${folder}/nginx.conf test is successful\n`,
    );
    expect([code, stdout]).toEqual([0, ""]);
  });

  test("looks for a relative -c below -p, and for conf/nginx.conf below it first", async () => {
    const folder = folderWith("nonsense;");
    mkdirSync(join(folder, "sub", "conf"), { recursive: true });
    writeFileSync(join(folder, "sub", "conf", "nginx.conf"), PLAIN);
    writeFileSync(join(folder, "sub", "other.conf"), PLAIN);
    for (const args of [
      ["-tp", "sub"],
      ["-t", "-p", "sub/", "-c", "other.conf"],
    ]) {
      expect(await runGate(args, { cwd: folder })).toMatchObject({ code: 0 });
    }
  });

  test("takes -g several times, before the file's own directives", async () => {
    const folder = folderWith();
    const ok = await runGate(["-t", "-g", "worker_processes 2;", "-g", "pid p.pid;"], { cwd: folder });
    expect(ok.code).toBe(0);
    const twice = await runGate(["-t", "-g", "daemon off;", "-gdaemon on;"], { cwd: folder });
    expect(twice.code).toBe(1);
    expect(twice.stderr).toMatch(/^wsgate: \[emerg\] "daemon" directive is duplicate in command line\n/);
  });

  test("-e says where errors go if no error_log does, and has to be writable then", async () => {
    const folder = folderWith();
    const gone = await runGate(["-t", "-e", "gone/e.log"], { cwd: folder });
    expect(gone.stderr).toContain(
      `[emerg] open() "${folder}/gone/e.log" failed (2: No such file or directory)`,
    );
    expect(
      await runGate(["-t", "-e", "gone/e.log", "-g", "error_log e.log;"], { cwd: folder }),
    ).toMatchObject({
      code: 0,
    });
    const file = folderWith("events {} http { access_log off; server { listen 127.0.0.1:0; } }");
    const command = startCommand(["-e", "own.log", "-g", "pid run.pid;"], { cwd: file });
    await waitForFile(join(file, "run.pid"), /\d/);
    writeFileSync(join(file, "nginx.conf"), "nonsense;");
    command.signal("SIGHUP");
    await waitForFile(join(file, "own.log"), /\[emerg\] .*unknown directive "nonsense"/);
    expect(command.stderr.text).toBe("");
  });

  test("-q keeps quiet about success, not about warnings and errors, as nginx does", async () => {
    const folder = folderWith();
    expect(await runGate(["-tq"], { cwd: folder })).toMatchObject({ code: 0, stderr: "", stdout: "" });
    const warned = folderWith(
      "events {} http { access_log off; server { listen 127.0.0.1:0; server_name a; server_name a; } }",
    );
    const { code, stderr } = await runGate(["-tq"], { cwd: warned });
    expect(stderr).toMatch(/^wsgate: \[warn\] conflicting server name "a"/);
    expect(code).toBe(0);
    const broken = await runGate(["-tq"], { cwd: folderWith("nonsense;") });
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/nginx\.conf test failed\n$/);
  });

  test("-T prints every file that was read, and nothing of a configuration that fails", async () => {
    const folder = folderWith("include parts/*.conf;\nevents {}\n", {});
    mkdirSync(join(folder, "parts"));
    writeFileSync(join(folder, "parts", "a.conf"), "worker_processes 1;\n");
    const { stdout, code } = await runGate(["-T"], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toBe(
      `# configuration file ${folder}/nginx.conf:\ninclude parts/*.conf;\nevents {}\n\n` +
        `# configuration file ${folder}/parts/a.conf:\nworker_processes 1;\n\n`,
    );
    writeFileSync(join(folder, "parts", "a.conf"), "nonsense;\n");
    expect(await runGate(["-T"], { cwd: folder })).toMatchObject({ code: 1, stdout: "" });
  });

  test("-v and -V say the version and do not keep -t from being done", async () => {
    const { stderr, code } = await runGate(["-v"]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^wsgate version: wsgate\/\d+\.\d+\.\d+\n$/)]);
    expect((await runGate(["-V"])).stderr).toMatch(/^wsgate version: .*\n.*Node\.js v\d+.*OpenSSL/);
    const both = await runGate(["-vt"], { cwd: folderWith() });
    expect(both.stderr).toMatch(/^wsgate version: .*\n(.*\n)?.*test is successful\n$/);
  });

  test("-h explains every flag", async () => {
    const { stdout, code } = await runGate(["-h"]);
    expect(code).toBe(0);
    for (const letter of "hvVtTqspecg")
      expect(stdout).toMatch(new RegExp(`^ {2}(-\\?,)?-${letter} .*: `, "m"));
  });

  test("survives a reader that goes away, as head does", () => {
    const folder = folderWith(`${PLAIN}${"# a line of comment\n".repeat(20_000)}`);
    const wsgate = join(REPOSITORY, "bin", "wsgate");
    const { stderr } = spawnSync("sh", ["-c", `"${wsgate}" -T -q -c nginx.conf | head -n 1`], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
  });
});

describe("-t", () => {
  /** Runs -t on a configuration and expects it to fail; the first line of what it said. */
  async function refusal(config: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
    const folder = folderWith(config, files);
    const { code, stderr } = await runGate(["-t"], { cwd: folder });
    expect(code).toBe(1);
    const lines = stderr.replaceAll(`${folder}/`, "").trimEnd().split("\n");
    expect(lines.at(-1)).toBe("wsgate: configuration file nginx.conf test failed");
    return lines.find((line) => line.includes("[emerg]")) ?? stderr;
  }

  test("a folder in place of the file is refused as a folder", async () => {
    const folder = temporaryFolder();
    const { code, stderr } = await runGate(["-t", "-c", folder]);
    expect([code, stderr]).toEqual([
      1,
      `wsgate: [emerg] pread() "${folder}" failed (21: Is a directory)\nwsgate: configuration file ${folder} test failed\n`,
    ]);
  });

  test("a missing file and a missing include are named, the latter with its line", async () => {
    const folder = temporaryFolder();
    const missing = await runGate(["-t", "-c", "nowhere.conf"], { cwd: folder });
    expect(missing.stderr).toBe(
      `wsgate: [emerg] open() "${folder}/nowhere.conf" failed (2: No such file or directory)\n` +
        `wsgate: configuration file ${folder}/nowhere.conf test failed\n`,
    );
    expect(await refusal("events {}\ninclude part.conf;\n")).toBe(
      'wsgate: [emerg] open() "part.conf" failed (2: No such file or directory) in nginx.conf:2',
    );
  });

  test("a certificate that is missing, broken, or not its key's is named with its line", async () => {
    const { certificate, key } = await leafFiles();
    const other = await leafFiles({ names: ["other"] });
    const server = (cert: string, keyFile: string): string =>
      `events {}\nhttp { access_log off; server {\nlisten 127.0.0.1:0 ssl;\nssl_certificate ${cert};\nssl_certificate_key ${keyFile};\n} }`;
    expect(await refusal(server("missing.crt", key))).toMatch(
      /^wsgate: \[emerg\] cannot load certificate "missing\.crt": BIO_new_file\(\) failed .*No such file or directory.* in nginx\.conf:4$/,
    );
    expect(await refusal(server("bad.crt", key), { "bad.crt": "-----BEGIN CERTIFICATE-----\nAA\n" })).toMatch(
      /^wsgate: \[emerg\] cannot load certificate "bad\.crt": PEM_read_bio_X509_AUX\(\) failed .* in nginx\.conf:4$/,
    );
    const onlyOnce = folderWith(server("missing.crt", key));
    expect((await runGate(["-t"], { cwd: onlyOnce })).stderr.match(/\[emerg\]/g)).toHaveLength(1);
    expect(await refusal(server(certificate, "bad.key"), { "bad.key": "no key" })).toMatch(
      /^wsgate: \[emerg\] cannot load certificate key "bad\.key": PEM_read_bio_PrivateKey\(\) failed .* in nginx\.conf:5$/,
    );
    expect(await refusal(server(certificate, other.key))).toMatch(/key values mismatch\) in nginx\.conf:5$/);
    expect(await refusal(server(".", key))).toMatch(
      /cannot load certificate ".+".*Is a directory.* in nginx\.conf:4$/,
    );
  });

  test("a log and a pid file in a folder that is missing are refused after the syntax is ok", async () => {
    for (const [directive, file] of [
      ["error_log gone/e.log;", "gone/e.log"],
      ["pid gone/p.pid;", "gone/p.pid"],
    ] as const) {
      expect(await refusal(`${directive}\n${PLAIN}`)).toBe(
        `wsgate: [emerg] open() "${file}" failed (2: No such file or directory)`,
      );
    }
  });

  test.for([
    ["a missing include", "events {}\ninclude gone.conf;\n"],
    ["a log in a missing folder", `error_log gone/e.log;\n${PLAIN}`],
    ["a pid file in a missing folder", `pid gone/p.pid;\n${PLAIN}`],
    ["an alien address", "events {} http { access_log off; server { listen 198.51.100.1:8080; } }"],
    ["a directive that does not exist", "events {}\nhttp {\n nonsense on;\n}\n"],
    ["a number of arguments", "events {}\nhttp {\n keepalive_timeout;\n}\n"],
    [
      "a certificate that is missing",
      "events {}\nhttp { server { listen 127.0.0.1:0 ssl;\nssl_certificate gone.crt;\nssl_certificate_key gone.key; } }\n",
    ],
  ])("finds with %s what nginx finds", async ([, config = ""], context) => {
    requires(context, "nginx");
    const folder = folderWith(config.replace("127.0.0.1:0", "127.0.0.1:1"));
    const ours = await runGate(["-t"], { cwd: folder });
    const file = join(folder, "nginx.conf");
    const nginx = spawnSync("nginx", ["-t", "-e", "stderr", "-p", folder, "-c", file], { encoding: "utf8" });
    const complaint = (text: string): string => /\[emerg\] (?:\d+#\d+: )?(.*)/.exec(text)?.[1] ?? text;
    expect(ours.code).toBe(nginx.status);
    // Of what it reads late nginx does not say where it is named.
    expect(complaint(ours.stderr).startsWith(complaint(nginx.stderr))).toBe(true);
  });

  test("leaves no file and no folder behind, and neither empties nor removes what was there", async () => {
    const config = "error_log e.log;\npid run.pid;\nevents {}\nhttp { server { listen unix:x.sock; } }\n";
    const folder = folderWith(config.replace("unix:", `unix:${temporaryFolder()}/`));
    expect(await runGate(["-t"], { cwd: folder })).toMatchObject({ code: 0 });
    expect(readdirSync(folder)).toEqual(["nginx.conf"]);
    const kept = folderWith(config.replace("unix:", `unix:${temporaryFolder()}/`), {
      "e.log": "old",
      "run.pid": "1",
    });
    expect(await runGate(["-t"], { cwd: kept })).toMatchObject({ code: 0 });
    expect(readdirSync(kept).sort()).toEqual(["e.log", "nginx.conf", "run.pid"]);
  });

  test("a port in use is no fault, since it is most likely the running one's, but an alien address is", async () => {
    const port = await takenPort();
    const folder = folderWith(`events {} http { access_log off; server { listen 127.0.0.1:${port}; } }`);
    expect(await runGate(["-t"], { cwd: folder })).toMatchObject({ code: 0 });
    expect(await refusal("events {} http { access_log off; server { listen 198.51.100.1:8080; } }")).toBe(
      "wsgate: [emerg] bind() to 198.51.100.1:8080 failed (99: Cannot assign requested address)",
    );
  });

  test("a port below the privileged limit is refused to users, with what to do", (context) => {
    if (process.getuid?.() !== 0) context.skip("only root can become a nobody");
    const folder = folderWith("events {} http { access_log off; server { listen 127.0.0.1:81; } }");
    chmodSync(folder, 0o777);
    const { status, stderr } = asNobody(["-t"], folder);
    expect(stderr).toContain("wsgate: [emerg] bind() to 127.0.0.1:81 failed (13: Permission denied)\n");
    expect(stderr).toContain("help: start as root, or listen on a port from 1024 on\n");
    expect(status).toBe(1);
  });

  test("a file that may not be read is refused", (context) => {
    if (process.getuid?.() !== 0) context.skip("only root can become a nobody");
    const folder = folderWith(PLAIN);
    chmodSync(join(folder, "nginx.conf"), 0o600);
    chmodSync(folder, 0o755);
    const { status, stderr } = asNobody(["-t"], folder);
    expect([status, stderr.split("\n")[0]]).toEqual([
      1,
      `wsgate: [emerg] open() "${folder}/nginx.conf" failed (13: Permission denied)`,
    ]);
  });
});

describe("a refused start", () => {
  /** Everything that a refused start must not leave. */
  async function expectNothingStarted(folder: string, port: number): Promise<void> {
    await expect(connectRaw({ port })).rejects.toThrow(/ECONNREFUSED/);
    expect(existsSync(join(folder, "logs", "wsgate.pid"))).toBe(false);
  }

  test.each([1, 2])("names a taken port and its owner, with %i workers", async (workers) => {
    const taken = await takenPort();
    const free = await reservePort();
    const folder = folderWith(
      `worker_processes ${workers};\nevents {}\nhttp {\naccess_log off;\nserver {\nlisten 127.0.0.1:${free};\nlisten 127.0.0.1:${taken};\n} }`,
    );
    const command = startCommand([], { cwd: folder });
    expect(await command.exited).toMatchObject({ code: 1 });
    const lines = command.stderr.text.split("\n");
    expect(lines[0]).toBe(`wsgate: [emerg] bind() to 127.0.0.1:${taken} failed (98: Address already in use)`);
    expect(lines.slice(1)).toContain(`   7 | listen 127.0.0.1:${taken};`);
    expect(command.stderr.text).toMatch(
      new RegExp(`^help: end .* \\(pid ${process.pid}\\), which listens on port ${taken}, or listen on`, "m"),
    );
    expect(command.isAlive()).toBe(false);
    await expectNothingStarted(folder, free);
  });

  test.each([1, 2])(
    "does not listen when the pid file cannot be written, with %i workers",
    async (workers) => {
      const port = await reservePort();
      const folder = folderWith(
        `pid nowhere/p.pid; worker_processes ${workers}; events {} http { access_log off; server { listen 127.0.0.1:${port}; } }`,
      );
      const command = startCommand([], { cwd: folder });
      expect(await command.exited).toMatchObject({ code: 1 });
      expect(command.stderr.text).toBe(
        `wsgate: [emerg] open() "${folder}/nowhere/p.pid" failed (2: No such file or directory)\n`,
      );
      expect(command.isAlive()).toBe(false);
      await expectNothingStarted(folder, port);
    },
  );

  test("says the same behind daemon on, on the terminal that still waits", async () => {
    const taken = await takenPort();
    const folder = folderWith(
      `daemon on; events {} http { access_log off; server { listen 127.0.0.1:${taken}; } }`,
    );
    const command = startCommand([], { cwd: folder });
    expect(await command.exited).toMatchObject({ code: 1 });
    expect(command.stderr.text).toContain(`bind() to 127.0.0.1:${taken} failed (98: Address already in use)`);
    expect(existsSync(join(folder, "logs", "wsgate.pid"))).toBe(false);
  });

  test("says what can be done where there is no file at all", async () => {
    const folder = temporaryFolder();
    const { code, stderr } = await runGate([], { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^wsgate: \[emerg\] open\(\) ".*" failed \(2: .*\)\nhelp: .* -c, .*wsgate demo/);
  });

  test("a broken configuration starts nothing", async () => {
    const folder = folderWith("events {}\nhttp { server { listen 127.0.0.1:0; retrun 200; } }");
    const { code, stderr } = await runGate([], { cwd: folder });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^wsgate: \[emerg\] unknown directive "retrun" in .*nginx\.conf:2\n/);
    expect(readdirSync(folder)).toEqual(["nginx.conf"]);
  });
});

async function takenPort(): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  const port = await reservePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  obtain(`the taker of port ${port}`, () => new Promise((resolve) => server.close(() => resolve())));
  return port;
}

/** Runs wsgate as the user nobody, who has no privileges. */
function asNobody(args: readonly string[], cwd: string): { status: number | null; stderr: string } {
  const wsgate = join(REPOSITORY, "bin", "wsgate");
  const become = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
  return spawnSync("setpriv", [...become, process.execPath, wsgate, ...args], { cwd, encoding: "utf8" });
}
