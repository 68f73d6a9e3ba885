import type { Place } from "./contender.ts";

/** Lines of one of the two: in the main context, in `http`, and in the location of the tunnels. */
export interface OwnLines {
  readonly main?: string;
  readonly http?: string;
  readonly tunnel?: string;
}

/**
 * The configuration that nginx and wsgate both run: what their users paste, stock buffer sizes, one worker, no access log.
 */
export function nginxConf(place: Place, { main = "", http = "", tunnel = "" }: OwnLines): string {
  return `
worker_processes 1;
worker_rlimit_nofile 40000;
pid wsgate.pid;
error_log error.log error;
${main}
events {
    worker_connections 32768;
}

http {
    access_log off;
    keepalive_requests 1000000000;
    ${http}

    upstream backend {
        server 127.0.0.1:${place.backendPort};
        keepalive 64;
        keepalive_requests 1000000000;
    }

    server {
        listen 127.0.0.1:${place.plainPort} backlog=4096;
        listen 127.0.0.1:${place.tlsPort} ssl backlog=4096;
        server_name bench.test;
        ssl_certificate ${place.certificate.certificate};
        ssl_certificate_key ${place.certificate.key};
        ssl_protocols TLSv1.3;
        ssl_session_cache off;
        ssl_session_tickets off;

        location / {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
        }

        location /echo {
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
            ${tunnel}
        }
    }
}
`;
}
