/** TLS towards clients, with wsgate and with the real nginx on one configuration: answers and what the logs say. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { authorityCertificate, leafCertificate, leafFiles } from "./rig/certificates.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw, type RawClientOptions } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

interface Visit {
  readonly subject: string;
  /** undefined: no TLS at all. */
  readonly sni?: string;
  readonly host: string;
  readonly client?: "trusted" | "stranger";
}

const VISITS: readonly Visit[] = [
  { subject: "a name that SNI and Host agree about", sni: "open.test", host: "open.test" },
  { subject: "the second server", sni: "second.test", host: "second.test" },
  { subject: "a name in capitals", sni: "Second.Test", host: "SECOND.TEST" },
  { subject: "a name nobody has", sni: "none.test", host: "none.test" },
  { subject: "another name in Host than by SNI", sni: "open.test", host: "second.test" },
  { subject: "plain HTTP", host: "open.test" },
  { subject: "no certificate where one is required", sni: "closed.test", host: "closed.test" },
  {
    subject: "a certificate where one is required",
    sni: "closed.test",
    host: "closed.test",
    client: "trusted",
  },
  { subject: "a stranger's certificate", sni: "closed.test", host: "closed.test", client: "stranger" },
  { subject: "no certificate where one is welcome", sni: "welcome.test", host: "welcome.test" },
  {
    subject: "a stranger's certificate where one is welcome",
    sni: "welcome.test",
    host: "welcome.test",
    client: "stranger",
  },
  { subject: "any certificate", sni: "any.test", host: "any.test", client: "stranger" },
  {
    subject: "a server that verifies clients, by another's SNI",
    sni: "open.test",
    host: "closed.test",
    client: "trusted",
  },
  {
    subject: "a server that does not, by the SNI of one that does",
    sni: "closed.test",
    host: "open.test",
    client: "trusted",
  },
];

function serverNamed(name: string, directives = ""): string {
  return `server { listen {{port:front}} ssl; server_name ${name}; ${directives}
    return 200 "$server_name $scheme $ssl_protocol $ssl_server_name $ssl_client_verify\\n"; }`;
}

async function visit(proxy: Proxy, { sni, host, client }: Visit): Promise<string> {
  const isStranger = client === "stranger";
  const own =
    client === undefined
      ? {}
      : await leafCertificate({ names: [client], isClient: true, isSelfSigned: isStranger });
  const tls: RawClientOptions =
    sni === undefined ? {} : { tls: { servername: sni, rejectUnauthorized: false, ...own } };
  const peer = await connectRaw({ port: proxy.port(), ...tls });
  await peer.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const response = await readResponse(peer);
  await peer.close();
  const body = response.body.replace(/(nginx|wsgate)\/[\d.]+/, "PRODUCT").replace(/FAILED:.*/, "FAILED");
  return JSON.stringify([response.status, response.header("connection"), body]);
}

/** What the error log says of clients, without what differs by nature. */
function complaints(proxy: Proxy): readonly string[] {
  return proxy
    .read("logs/info.log")
    .split("\n")
    .filter((line) => / client (?:sent|attempted|SSL)/.test(line))
    .map((line) => line.replace(/^.*#\d+: \*\d+ /, "").replaceAll(String(proxy.port()), "PORT"))
    .map((line) => line.replace(/verify error: \([^)]*\)/, "verify error"));
}

test("servers are chosen, clients verified and refused as by nginx", async (context) => {
  requires(context, "nginx");
  const leaf = await leafFiles({ names: ["open.test", "second.test", "closed.test"] });
  const authority = join(temporaryFolder(), "authority.crt");
  writeFileSync(authority, await authorityCertificate());
  const verify = (mode: string): string => `ssl_verify_client ${mode}; ssl_client_certificate ${authority};`;
  const http = `
    error_log logs/info.log info; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${leaf.certificate}; ssl_certificate_key ${leaf.key};
    ${serverNamed("open.test")}
    ${serverNamed("second.test")}
    ${serverNamed("closed.test", verify("on"))}
    ${serverNamed("welcome.test", verify("optional"))}
    ${serverNamed("any.test", verify("optional_no_ca"))}`;
  const [gate, nginx] = [await startGate({ http }), await startNginx({ http })];
  const differences: unknown[] = [];
  for (const each of VISITS) {
    const [ours, theirs] = [await visit(gate, each), await visit(nginx, each)];
    if (ours !== theirs) differences.push({ subject: each.subject, ours, theirs });
  }
  expect(differences).toEqual([]);
  expect(complaints(gate)).toEqual(complaints(nginx));
});
