import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Contender, installedVersion, type Place } from "./contender.ts";

function haproxyCfg(place: Place): string {
  return `
global
    nbthread 1
    maxconn 8000
    tune.ssl.cachesize 0

defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h

frontend bench
    bind 127.0.0.1:${place.plainPort} backlog 4096
    bind 127.0.0.1:${place.tlsPort} backlog 4096 ssl crt ${place.certificate.both} no-tls-tickets
    default_backend backend

backend backend
    server backend 127.0.0.1:${place.backendPort}
`;
}

export const haproxy: Contender = {
  name: "haproxy",
  version: () => installedVersion("haproxy", ["-v"]),
  prepare: (place) => {
    const file = join(place.folder, "haproxy.cfg");
    writeFileSync(file, haproxyCfg(place));
    return { command: "haproxy", args: ["-db", "-f", file] };
  },
};
