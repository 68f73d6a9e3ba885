import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { startWebSocketBackend } from "./rig/backends.ts";
import { authorityCertificate, type LeafOptions, leafCertificate, leafFiles } from "./rig/certificates.ts";
import { within } from "./rig/deadline.ts";
import { request, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Proxy, runGate, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

/** The ssl directives from the configuration to the wire, with OpenSSL's own client and Node's. */

useRig();

/** A pair as directives. */
async function certificateFor(options: LeafOptions): Promise<string> {
  const { certificate, key } = await leafFiles(options);
  return `ssl_certificate ${certificate}; ssl_certificate_key ${key};`;
}

function startHttps(servers: string, main: string = ""): Promise<Proxy> {
  return startGate({ config: `${main} events {} http { access_log off; ${servers} }` });
}

/** One server on {{port:front}} with a certificate for localhost that answers with `answer`. */
async function startServer(directives: string, answer: string = "ok", main: string = ""): Promise<Proxy> {
  const pair = await certificateFor({});
  return startHttps(
    `server { listen 127.0.0.1:{{port:front}} ssl; ${pair} ${directives} return 200 "${answer}"; }`,
    main,
  );
}

/** A finished handshake; rejects with OpenSSL's reason where there is none. */
async function handshake(gate: Proxy, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const ca = await authorityCertificate();
  const socket = connectTls({
    port: gate.port("front"),
    host: "127.0.0.1",
    ca,
    servername: "localhost",
    ...options,
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  obtain("a TLS client", async () => {
    socket.destroy();
    await closed;
  });
  await within(
    new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.once("error", reject);
    }),
    "a TLS handshake",
  );
  socket.on("error", () => {});
  return socket;
}

async function commonNameAt(gate: Proxy, servername?: string): Promise<string> {
  const socket = await handshake(gate, { servername: servername ?? "", rejectUnauthorized: false });
  return String(socket.getPeerCertificate().subject.CN);
}

async function refusalOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => "accepted",
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

/** What `openssl s_client` prints. */
function sClient(gate: Proxy, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const command = ["s_client", "-connect", `127.0.0.1:${gate.port("front")}`, ...args];
    const child = execFile("openssl", command, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`));
    child.stdin?.end("Q\n");
  });
}

describe("the certificate", () => {
  test("is chosen by SNI as server_name is by Host: exact, wildcard, else the default server's", async () => {
    const server = async (listen: string, name: string, cn: string): Promise<string> =>
      `server { listen 127.0.0.1:{{port:front}} ssl ${listen}; server_name ${name}; ${await certificateFor({ names: [cn] })} return 200 ${cn}; }`;
    const gate = await startHttps(
      (await server("", "exact.test", "exact")) +
        (await server("", "*.wild.test", "wild")) +
        (await server("default_server", "_", "default")),
    );
    expect(await commonNameAt(gate, "exact.test")).toBe("exact");
    expect(await commonNameAt(gate, "EXACT.test")).toBe("exact");
    expect(await commonNameAt(gate, "a.wild.test")).toBe("wild");
    expect(await commonNameAt(gate, "unknown.test")).toBe("default");
    expect(await commonNameAt(gate)).toBe("default");
  });

  test("is the RSA or the EC one, as the client can verify", async (context) => {
    requires(context, "openssl");
    const [rsa, ec] = [await certificateFor({ keyType: "rsa" }), await certificateFor({ keyType: "ec" })];
    const gate = await startHttps(`server { listen 127.0.0.1:{{port:front}} ssl; ${rsa} ${ec} }`);
    expect(await sClient(gate, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")).toMatch(
      /Peer signature type: RSA/,
    );
    expect(await sClient(gate, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")).toMatch(
      /Peer signature type: ECDSA/,
    );
    expect(await sClient(gate, "-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256")).toMatch(
      /Peer signature type: RSA-PSS/,
    );
  });

  test("is sent with its chain, in the order of the file", async (context) => {
    requires(context, "openssl");
    const { cert, key } = await leafCertificate();
    const folder = temporaryFolder();
    writeFileSync(join(folder, "chain.crt"), cert + (await authorityCertificate()));
    writeFileSync(join(folder, "key"), key);
    const server = (file: string): string =>
      `server { listen 127.0.0.1:{{port:front}} ssl; ssl_certificate ${folder}/${file}; ssl_certificate_key ${folder}/key; }`;
    const gate = await startHttps(server("chain.crt"));
    expect(await sClient(gate, "-showcerts")).toMatch(
      / 0 s:CN = localhost\n[^]* 1 s:CN = wsgate test authority\n/,
    );

    writeFileSync(join(folder, "wrong.crt"), (await authorityCertificate()) + cert);
    writeFileSync(
      join(folder, "nginx.conf"),
      `events {} http { ${server("wrong.crt").replace("{{port:front}}", "0")} }`,
    );
    const { code, stderr } = await runGate(["-t"], { cwd: folder });
    expect([code, stderr]).toEqual([1, expect.stringContaining("key values mismatch")]);
  });

  test("that has expired is served, with a warning that names it", async () => {
    const pair = await certificateFor({ validForDays: -1 });
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, "nginx.conf"),
      `events {}\nhttp { server { listen 127.0.0.1:0 ssl;\n${pair} } }\n`,
    );
    const { code, stderr } = await runGate(["-t"], { cwd: folder });
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /^wsgate: \[warn\] the certificate ".*leaf\.crt" expired on .* in .*nginx\.conf:3\n/,
    );
    const gate = await startHttps(`server { listen 127.0.0.1:{{port:front}} ssl; ${pair} }`);
    expect(await refusalOf(handshake(gate))).toBe("CERT_HAS_EXPIRED");
  });

  test("may have a key with a passphrase", async (context) => {
    requires(context, "openssl");
    const { certificate, key } = await leafFiles();
    const folder = temporaryFolder();
    const encrypted = join(folder, "encrypted.key");
    await new Promise((resolve) =>
      execFile(
        "openssl",
        ["pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", "pass:secret"],
        resolve,
      ),
    );
    writeFileSync(join(folder, "passwords"), "wrong\nsecret\n");
    const gate =
      await startHttps(`server { listen 127.0.0.1:{{port:front}} ssl; ssl_certificate ${certificate};
      ssl_certificate_key ${encrypted}; ssl_password_file ${folder}/passwords; }`);
    expect((await handshake(gate)).authorized).toBe(true);
  });
});

describe("what is negotiated", () => {
  test("a default server with ssl_reject_handshake answers no name but those of other servers", async () => {
    const gate = await startHttps(`
      server { listen 127.0.0.1:{{port:front}} ssl default_server; ssl_reject_handshake on; }
      server { listen 127.0.0.1:{{port:front}} ssl; server_name localhost; ${await certificateFor({})} }`);
    expect((await handshake(gate)).authorized).toBe(true);
    expect(await refusalOf(handshake(gate, { servername: "other.test" }))).toBe(
      "ERR_SSL_TLSV1_UNRECOGNIZED_NAME",
    );
    expect(await refusalOf(handshake(gate, { servername: "" }))).toBe("ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
  });

  test.each([
    ["", ["TLSv1.2", "TLSv1.3"]],
    ["ssl_protocols TLSv1.2;", ["TLSv1.2"]],
    ["ssl_protocols TLSv1.3;", ["TLSv1.3"]],
    ["ssl_protocols TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;", ["TLSv1.1", "TLSv1.2"]],
  ])("%s speaks %j and nothing else", async (directives, expected) => {
    const gate = await startServer(directives);
    const spoken: string[] = [];
    for (const version of ["TLSv1.1", "TLSv1.2", "TLSv1.3"] as const) {
      const only = { minVersion: version, maxVersion: version, ciphers: "ALL:@SECLEVEL=0" };
      if ((await refusalOf(handshake(gate, only))) === "accepted") spoken.push(version);
    }
    expect(spoken).toEqual(expected);
  });

  test("ssl_ciphers limits what TLS 1.2 may use, and ssl_prefer_server_ciphers lets its order count", async () => {
    const two = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    const reversed = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
    const cipherOf = async (gate: Proxy, ciphers: string): Promise<string> =>
      (await handshake(gate, { ciphers, maxVersion: "TLSv1.2" })).getCipher().name;
    const lax = await startServer(`ssl_ciphers ${two};`);
    expect(await cipherOf(lax, reversed)).toBe("ECDHE-ECDSA-AES256-GCM-SHA384");
    expect(await refusalOf(cipherOf(lax, "ECDHE-ECDSA-CHACHA20-POLY1305"))).toMatch(/HANDSHAKE_FAILURE/);
    const strict = await startServer(`ssl_ciphers ${two}; ssl_prefer_server_ciphers on;`);
    expect(await cipherOf(strict, reversed)).toBe("ECDHE-ECDSA-AES128-GCM-SHA256");
  });

  test("variables tell what was", async () => {
    const gate = await startServer(
      "",
      "$scheme $https $ssl_protocol $ssl_cipher $ssl_server_name $ssl_session_reused",
    );
    const tls = { ca: await authorityCertificate(), servername: "localhost", maxVersion: "TLSv1.2" } as const;
    expect((await request({ port: gate.port(), tls })).body).toMatch(
      /^https on TLSv1\.2 ECDHE-ECDSA-AES\d+-GCM-SHA\d+ localhost \.$/,
    );
  });
});

describe("sessions", () => {
  /** Shakes hands, asks once, and returns the ticket that came with it: in TLS 1.3 after the handshake. */
  async function firstSession(gate: Proxy, maxVersion: "TLSv1.2" | "TLSv1.3"): Promise<Buffer> {
    const socket = await handshake(gate, { maxVersion });
    const session = new Promise<Buffer>((resolve) => socket.once("session", resolve));
    socket.write(requestBytes({}));
    return maxVersion === "TLSv1.2" ? (socket.getSession() ?? session) : within(session, "a session ticket");
  }

  async function isResumed(
    gate: Proxy,
    maxVersion: "TLSv1.2" | "TLSv1.3",
    session: Buffer,
  ): Promise<boolean> {
    return (await handshake(gate, { maxVersion, session })).isSessionReused();
  }

  describe.each(["TLSv1.2", "TLSv1.3"] as const)("of %s", (version) => {
    test("are resumed, after a reload and by every worker, too", async () => {
      const gate = await startServer("", "ok", "worker_processes 2;");
      const session = await firstSession(gate, version);
      for (let i = 0; i < 4; i++) expect(await isResumed(gate, version, session)).toBe(true);
      await gate.reload();
      for (let i = 0; i < 4; i++) expect(await isResumed(gate, version, session)).toBe(true);
    });

    test("are not with ssl_session_tickets off, nor after a restart", async () => {
      const without = await startServer("ssl_session_tickets off;");
      const socket = await handshake(without, { maxVersion: version });
      const session = socket.getSession();
      expect(session === undefined ? false : await isResumed(without, version, session)).toBe(false);
      const before = await firstSession(await startServer(""), version);
      expect(await isResumed(await startServer(""), version, before)).toBe(false);
    });

    test("are even after that with a ssl_session_ticket_key of one's own", async () => {
      const file = join(temporaryFolder(), "ticket.key");
      writeFileSync(file, Buffer.alloc(80, 7));
      const start = (): Promise<Proxy> => startServer(`ssl_session_ticket_key ${file};`);
      const session = await firstSession(await start(), version);
      expect(await isResumed(await start(), version, session)).toBe(true);
    });
  });
});

describe("client certificates", () => {
  async function startVerifying(how: string): Promise<Proxy> {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "ca.crt"), await authorityCertificate());
    return startServer(
      `ssl_verify_client ${how}; ssl_client_certificate ${folder}/ca.crt;`,
      "$ssl_client_verify $ssl_client_s_dn",
    );
  }

  async function ask(gate: Proxy, leaf?: LeafOptions): Promise<string> {
    const shown = leaf === undefined ? {} : await leafCertificate({ ...leaf, isClient: true });
    const tls = { ca: await authorityCertificate(), servername: "localhost", ...shown };
    const { status, body } = await request({ port: gate.port(), tls });
    return `${status} ${/<title>400 (.*)<\/title>/.exec(body)?.[1] ?? body}`;
  }

  test("on wants one, from the authority that is trusted", async () => {
    const gate = await startVerifying("on");
    expect(await ask(gate, { names: ["alice"] })).toBe("200 SUCCESS CN=alice");
    expect(await ask(gate)).toBe("400 No required SSL certificate was sent");
    expect(await ask(gate, { names: ["mallory"], isSelfSigned: true })).toBe("400 The SSL certificate error");
    expect(await ask(gate, { names: ["late"], validForDays: -1 })).toBe("400 The SSL certificate error");
  });

  test("optional takes none, but no bad one", async () => {
    const gate = await startVerifying("optional");
    expect(await ask(gate)).toBe("200 NONE ");
    expect(await ask(gate, { names: ["alice"] })).toBe("200 SUCCESS CN=alice");
    expect(await ask(gate, { names: ["mallory"], isSelfSigned: true })).toBe("400 The SSL certificate error");
  });

  test("optional_no_ca leaves the judgement to whoever reads $ssl_client_verify", async () => {
    const gate = await startVerifying("optional_no_ca");
    expect(await ask(gate, { names: ["mallory"], isSelfSigned: true })).toMatch(/^200 FAILED:.* CN=mallory$/);
  });
});

describe("beside plain HTTP", () => {
  test("return 301 https://$host$request_uri sends browsers to the other port", async () => {
    const gate = await startHttps(
      "server { listen 127.0.0.1:{{port:front}}; return 301 https://$host$request_uri; }",
    );
    const { status, headers } = await request({
      port: gate.port(),
      target: "/a?b=c",
      headers: { Host: "Example.TEST:80" },
    });
    expect([status, headers.find(([name]) => name === "Location")]).toEqual([
      301,
      ["Location", "https://example.test/a?b=c"],
    ]);
  });

  test("a plain request to the TLS port gets a page that says so, and the connection is closed", async () => {
    const gate = await startServer("");
    const client = await connectRaw({ port: gate.port() });
    await client.send(requestBytes({ headers: { Connection: "keep-alive" } }));
    const response = await readResponse(client);
    expect(response.status).toBe(400);
    expect(response.body).toContain("<center>The plain HTTP request was sent to HTTPS port</center>");
    expect(await client.toEnd()).toBe("");
  });

  test("one server serves both, ws and wss", async () => {
    const backend = await startWebSocketBackend();
    const gate =
      await startHttps(`server { listen 127.0.0.1:{{port:plain}}; listen 127.0.0.1:{{port:front}} ssl;
      ${await certificateFor({})} location / { proxy_pass http://${backend.address}; proxy_set_header X-Scheme $scheme; } }`);
    const ca = await authorityCertificate();
    for (const url of [gate.url("ws", "/", "plain"), `wss://localhost:${gate.port("front")}/`]) {
      const client = await connectWebSocket("ws", url, { ca });
      client.send("hello");
      expect(await client.next()).toBe("hello");
    }
    expect(backend.handshakes.map(({ headers }) => headers["x-scheme"])).toEqual(["http", "https"]);
  });

  test("a listener that becomes a TLS one at a reload is one for the next connection", async () => {
    const pair = await certificateFor({});
    const gate = await startHttps("server { listen 127.0.0.1:{{port:front}}; return 200 $scheme; }");
    expect((await request({ port: gate.port() })).body).toBe("http");
    await gate.write(
      "conf/nginx.conf",
      `events {} http { access_log off; server { listen 127.0.0.1:{{port:front}} ssl; ${pair} return 200 $scheme; } }`,
    );
    expect(await gate.reload()).toBe(true);
    const tls = { ca: await authorityCertificate(), servername: "localhost" };
    expect((await request({ port: gate.port(), tls })).body).toBe("https");
  });
});
