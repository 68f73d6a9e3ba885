import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Contender } from "./contender.ts";

const PROGRAM: string = fileURLToPath(new URL("../peers/http-proxy-3.js", import.meta.url));

export const httpProxy3: Contender = {
  name: "http-proxy-3",
  version: () => {
    try {
      // The package exports no package.json; it lies two folders above its entry.
      const entry = createRequire(import.meta.url).resolve("http-proxy-3");
      const manifest: { version?: string } = JSON.parse(
        readFileSync(join(dirname(entry), "../../package.json"), "utf8"),
      );
      return manifest.version;
    } catch {
      return undefined;
    }
  },
  prepare: ({ plainPort, tlsPort, backendPort, certificate }) => ({
    command: process.execPath,
    args: [
      PROGRAM,
      ...[plainPort, tlsPort, backendPort].map(String),
      certificate.certificate,
      certificate.key,
    ],
  }),
};
