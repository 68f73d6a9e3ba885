/** What readers of the articles have in their files, run by the real nginx: see test/seeds.test.ts. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { leafFiles } from "../rig/certificates.ts";
import { REPOSITORY, startNginx, type Proxy } from "../rig/proxy-process.ts";
import { startApplication } from "./applications.ts";
import type { Patient } from "./patient.ts";

const SEEDS = join(REPOSITORY, "../shared/seeds");

/** Whether the seeds lie beside the repository. */
export const HAS_SEEDS: boolean = existsSync(SEEDS);

/** The seed with the rig's ports and addresses in place of its own. */
function seed(name: string, replacements: readonly (readonly [from: RegExp, to: string])[]): string {
  let text = readFileSync(join(SEEDS, name), "utf8");
  for (const [from, to] of replacements) {
    if (!from.test(text)) throw new Error(`${name} has no ${String(from)}`);
    text = text.replace(from, to);
  }
  return text;
}

function nginx(http: string): Promise<Proxy> {
  return startNginx({ http, tolerates: [/./] });
}

const FRONT = "listen 127.0.0.1:{{port:front}};";

export const SEED_PATIENTS: readonly Patient[] = [
  {
    made: "s0-example-1-server.conf",
    illness: null,
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await nginx(
        `upstream myweb_backend { server ${address}; }\n${seed("s0-example-1-server.conf", [[/listen 80;/, FRONT]])}`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "s1-conf.d-websocket.conf, wss to a name",
    illness: null,
    admit: async () => {
      const { port } = await startApplication();
      const { certificate, key } = await leafFiles({ names: ["test.enzhico.net"] });
      const proxy = await nginx(
        seed("s1-conf.d-websocket.conf", [
          [/localhost:8282/, `127.0.0.1:${port}`],
          [/listen 443 ssl;/, "listen 127.0.0.1:{{port:front}} ssl;"],
          [/ssl_certificate \/[^;]*/, `ssl_certificate ${certificate}`],
          [/ssl_certificate_key \/[^;]*/, `ssl_certificate_key ${key}`],
        ]),
      );
      const host = "test.enzhico.net";
      return [`wss://${host}:${proxy.port()}/chat`, "--resolve", `${host}:127.0.0.1`, "--ca", "{{ca}}"];
    },
  },
  {
    made: "s3-location.conf",
    illness: null,
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await nginx(
        `upstream backend { server ${address}; } server { ${FRONT} ${seed("s3-location.conf", [])} }`,
      );
      return [proxy.url("ws", "/websocket/x")];
    },
  },
  {
    made: "s3-location.conf, at a path that it does not match",
    illness: "path-not-routed",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await nginx(
        `upstream backend { server ${address}; } server { ${FRONT} ${seed("s3-location.conf", [])} }`,
      );
      return [proxy.url("ws", "/socket")];
    },
  },
  {
    made: "s4-map-keepalive.conf",
    illness: null,
    admit: async () => {
      const { address } = await startApplication();
      const text = seed("s4-map-keepalive.conf", [
        [/127\.0\.0\.1:8808/, address],
        [/listen 8080;/, FRONT],
      ]);
      return [(await nginx(text)).url("ws", "/websocket/a")];
    },
  },
  {
    made: "s4-read-timeout.conf, at /websocket without the slash",
    illness: "redirected",
    admit: async () => {
      const { address } = await startApplication();
      const text = seed("s4-read-timeout.conf", [[/127\.0\.0\.1:8808/, address]]);
      return [(await nginx(`server { ${FRONT} ${text} }`)).url("ws", "/websocket")];
    },
  },
  {
    made: "s4-literal-upgrade.broken.conf with its semicolon",
    illness: null,
    admit: async () => {
      const { address } = await startApplication();
      const text = seed("s4-literal-upgrade.broken.conf", [
        [/127\.0\.0\.1:8808/, address],
        [/"websocket"/, '"websocket";'],
      ]);
      return [(await nginx(`server { ${FRONT} ${text} }`)).url("ws", "/websocket/a")];
    },
  },
];
