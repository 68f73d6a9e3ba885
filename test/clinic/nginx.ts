/** Debian's nginx with each fault of the articles. */
import { startFaultyBackend, startHttpBackend, startWebSocketBackend } from "../rig/backends.ts";
import { type LeafOptions, leafCertificate, leafFiles } from "../rig/certificates.ts";
import { type Proxy, startNginx } from "../rig/proxy-process.ts";
import { connectWebSocket } from "../rig/websocket-clients.ts";
import { startApplication, startRefuser } from "./applications.ts";
import { type Patient, UNTRUSTED } from "./patient.ts";

export const RIGHT_LINES =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

/** A server of nginx's that listens on {{port:front}}. */
function nginx(inside: string, outside: string = ""): Promise<Proxy> {
  return startNginx({
    http: `${outside} server { listen 127.0.0.1:{{port:front}}; ${inside} }`,
    tolerates: [/./],
  });
}

async function nginxWithTls(
  inside: string,
  { leaf = {} }: { readonly leaf?: LeafOptions } = {},
): Promise<Proxy> {
  const { certificate, key } = await leafFiles(leaf);
  return startNginx({
    http: `server {
      listen 127.0.0.1:{{port:front}} ssl;
      ssl_certificate ${certificate}; ssl_certificate_key ${key};
      ${inside}
    }`,
    tolerates: [/./],
  });
}

export const NGINX_PATIENTS: readonly Patient[] = [
  {
    made: "nginx without the lines about Upgrade, before an application that answers 400 to a GET",
    illness: "upgrade-lost",
    admit: async () => {
      const application = await startApplication({ plainStatus: 400, plainBody: "Bad Request" });
      const proxy = await nginx(`location / { proxy_pass http://${application.address}; }`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "the same, before one that answers 426, as the library ws does",
    illness: "upgrade-lost",
    admit: async () => {
      const application = await startApplication({ plainStatus: 426, plainBody: "Upgrade Required" });
      const proxy = await nginx(`location / { proxy_pass http://${application.address}; }`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "the same, before one that answers 200 with a page",
    illness: "upgrade-lost",
    admit: async () => {
      const backend = await startWebSocketBackend();
      const proxy = await nginx(`location / { proxy_pass http://${backend.address}; }`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx for wss without the lines about Upgrade: the application has no page there (404), and ws straight to it works",
    illness: "upgrade-lost",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginxWithTls(`location / { proxy_pass http://${application.address}; }`);
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}", "--backend", `ws://${application.address}/chat`];
    },
  },
  {
    made: "the same without knowing the backend",
    illness: "upgrade-lost",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginxWithTls(`location / { proxy_pass http://${application.address}; }`);
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx with Upgrade but without Connection",
    illness: "upgrade-lost",
    admit: async () => {
      const application = await startApplication({ plainStatus: 400, plainBody: "Bad Request" });
      const proxy = await nginx(
        `location / { proxy_pass http://${application.address}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx whose map is written on the wrong variable, so that Connection is close",
    illness: "upgrade-lost",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location / { proxy_pass http://${application.address}; proxy_http_version 1.1;
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }`,
        "map $http_upgrades $connection_upgrade { default upgrade; '' close; }",
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with a proxy_set_header in the location that wipes out the server's lines",
    illness: "upgrade-lost",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `${RIGHT_LINES} location / { proxy_pass http://${application.address}; proxy_set_header Host $host; }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx without a location for the path: its own 404",
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location /websocket/ { proxy_pass http://${application.address}; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/socket/a")];
    },
  },
  {
    made: "nginx whose location for files by regular expression takes the path before the WebSocket's",
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location /live/ { proxy_pass http://${application.address}; ${RIGHT_LINES} } location ~ \\.js$ { root html; }`,
      );
      return [proxy.url("ws", "/live/socket.js")];
    },
  },
  {
    made: "nginx with try_files … /index.html for everything: the page instead of the WebSocket",
    illness: "path-not-routed",
    admit: async () => {
      const proxy = await startNginx({
        http: "server { listen 127.0.0.1:{{port:front}}; root html; location / { try_files $uri /index.html; } }",
        files: { "html/index.html": "<!doctype html><title>app</title>" },
        tolerates: [/./],
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx whose proxy_pass takes a prefix away that the application wants: the library ws answers 400 on every path but its own",
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication({ webSocket: { path: "/chat/room" } });
      const proxy = await nginx(
        `location /chat/ { proxy_pass http://${application.address}/; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/chat/room")];
    },
  },
  {
    made: "nginx whose location /socket.io/ has a proxy_pass that ends in a slash: Socket.IO is asked for /",
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication({ webSocket: { path: "/socket.io/" } });
      const proxy = await nginx(
        `location /socket.io/ { proxy_pass http://${application.address}/; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/socket.io/?EIO=4&transport=websocket")];
    },
  },
  {
    made: "nginx with proxy_pass http://$backend/, which sends every path to /",
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication({ webSocket: { path: "/chat" } });
      const proxy = await nginx(
        `set $backend ${application.address}; location /chat { proxy_pass http://$backend/; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with proxy_pass http:// before another nginx, which wants TLS (400 from behind), ws",
    illness: "backend-wants-tls",
    admit: async () => {
      const inner = await nginxWithTls("return 204;");
      const proxy = await nginx(`location / { proxy_pass http://127.0.0.1:${inner.port()}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "the same for wss",
    illness: "backend-wants-tls",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const inner = await nginxWithTls("return 204;");
      const proxy = await nginxWithTls(
        `location / { proxy_pass http://127.0.0.1:${inner.port()}; ${RIGHT_LINES} }`,
      );
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx with proxy_pass http:// before a Node server with TLS (502), and --backend wss://",
    illness: "backend-wants-tls",
    admit: async () => {
      const { cert, key } = await leafCertificate();
      const { address } = await startApplication({ tls: { cert, key } });
      const proxy = await nginx(`location / { proxy_pass http://${address}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat"), "--backend", `wss://${address}/chat`, "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx with auth_request, and nobody who is logged in",
    illness: "authentication-required",
    admit: async () => {
      const application = await startApplication();
      const { address } = await startRefuser(401, "who are you?");
      const proxy = await nginx(
        `location = /auth { internal; proxy_pass http://${address}; }
         location / { auth_request /auth; proxy_pass http://${application.address}; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with auth_request to a path that nobody serves (500)",
    illness: "server-error",
    admit: async () => {
      const proxy = await nginx("root html; location / { auth_request /auth; }");
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with proxy_protocol on its listen line, and nobody who sends the PROXY header",
    illness: "proxy-header-missing",
    admit: async () => {
      const proxy = await startNginx({
        http: "server { listen 127.0.0.1:{{port:front}} proxy_protocol; }",
        tolerates: [/./],
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "the same with TLS",
    illness: "proxy-header-missing",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const { certificate, key } = await leafFiles();
      const proxy = await startNginx({
        http: `server { listen 127.0.0.1:{{port:front}} ssl proxy_protocol;
          ssl_certificate ${certificate}; ssl_certificate_key ${key}; }`,
        tolerates: [/./],
      });
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx with proxy_protocol behind nginx, whose proxy_pass sends no PROXY header (502), and --backend",
    illness: "proxy-header-missing",
    admit: async () => {
      const inner = await startNginx({
        http: "server { listen 127.0.0.1:{{port:front}} proxy_protocol; }",
        tolerates: [/./],
      });
      const proxy = await nginx(`location / { proxy_pass http://127.0.0.1:${inner.port()}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat"), "--backend", inner.url("ws", "/chat")];
    },
  },
  {
    made: 'nginx with return 200 "text" in the location into which the path falls',
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location / { return 200 "it works"; } location = /socket { proxy_pass http://${application.address}; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "the same, and --backend, which opens the WebSocket",
    illness: "path-not-routed",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await nginx('location /chat { return 200 "it works"; }');
      return [proxy.url("ws", "/chat"), "--backend", `ws://${address}/chat`];
    },
  },
  {
    made: "nginx with right lines, before a Node server that has index.html for every path and no WebSocket",
    illness: "path-not-routed",
    admit: async () => {
      const pages = await startHttpBackend((_seen, response) => {
        response.setHeader("content-type", "text/html");
        response.end("<!doctype html><title>app</title><script src=/app.js></script>");
      });
      const proxy = await nginx(`location / { proxy_pass http://${pages.address}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx without the lines about Upgrade, before an application with index.html for every path, and --backend",
    illness: "upgrade-lost",
    admit: async () => {
      const plainBody = "<!doctype html><title>app</title>";
      const { address } = await startApplication({ plainStatus: 200, plainBody });
      const proxy = await nginx(`location / { proxy_pass http://${address}; }`);
      return [proxy.url("ws", "/chat"), "--backend", `ws://${address}/chat`];
    },
  },
  {
    made: "nginx with limit_req and no burst: the first handshake passes, and a reconnect does not",
    illness: "rate-limited",
    notInBrowser: "the first WebSocket opens",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location / { limit_req zone=ws; proxy_pass http://${application.address}; ${RIGHT_LINES} }`,
        "limit_req_zone $binary_remote_addr zone=ws:1m rate=1r/m;",
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with location /websocket/, and a URL without the slash at its end (301)",
    illness: "redirected",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location /websocket/ { proxy_pass http://${application.address}/; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/websocket")];
    },
  },
  {
    made: "nginx whose location does not match, so that another one hands the path to a program that never answers (504)",
    illness: "backend-silent",
    admit: async () => {
      const silent = (await startFaultyBackend("hang")).address;
      const proxy = await nginx(
        `location / { proxy_pass http://${silent}; proxy_read_timeout 300ms; } location /websocket/ { return 200; }`,
      );
      return [proxy.url("ws", "/socket/a")];
    },
  },
  {
    made: "nginx before a port on which nobody listens (502)",
    illness: "backend-unreachable",
    admit: async () => {
      const proxy = await nginx(`location / { proxy_pass http://127.0.0.1:{{port:dead}}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat", "front")];
    },
  },
  {
    made: "nginx with limit_conn, every place taken (503)",
    illness: "backend-unavailable",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location / { proxy_pass http://${application.address}; ${RIGHT_LINES} limit_conn perip 1; }`,
        "limit_conn_zone $binary_remote_addr zone=perip:1m;",
      );
      // Another tab has the one place, and the rig closes it at the end.
      await connectWebSocket("ws", proxy.url("ws", "/chat"));
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with proxy_read_timeout 1s, and a page without a heartbeat (60 s where nothing is written)",
    illness: "idle-cut",
    notInBrowser: "the console says nothing: the CloseEvent has code 1006",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(
        `location / { proxy_pass http://${application.address}; ${RIGHT_LINES} proxy_read_timeout 1s; }`,
      );
      return [proxy.url("ws", "/chat"), "--hold", "2200ms"];
    },
  },
  {
    made: "nginx that redirects port 80 to https, and ws:// in the page",
    illness: "redirect-to-https",
    admit: async () => {
      const proxy = await nginx("return 301 https://$host$request_uri;");
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with TLS, and ws:// to its port",
    illness: "plain-to-tls-port",
    admit: async () => [(await nginxWithTls("")).url("ws", "/chat")],
  },
  {
    made: "nginx without ssl on its listen line, and wss:// to its port, by IP address",
    illness: "tls-to-plain-port",
    admit: async () => {
      const application = await startApplication();
      const proxy = await nginx(`location / { proxy_pass http://${application.address}; ${RIGHT_LINES} }`);
      return [proxy.url("wss", "/chat")];
    },
  },
  {
    made: "nginx with ssl_verify_client on",
    illness: "tls-client-certificate",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const { certificate } = await leafFiles();
      const proxy = await nginxWithTls(`ssl_verify_client on; ssl_client_certificate ${certificate};`);
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx with ssl_verify_client on, and a client's certificate from another authority (--cert)",
    illness: "tls-client-certificate-refused",
    notInBrowser: "the certificate is the doctor's",
    admit: async () => {
      const { certificate } = await leafFiles();
      const proxy = await nginxWithTls(`ssl_verify_client on; ssl_client_certificate ${certificate};`);
      const client = await leafFiles({ isClient: true, isSelfSigned: true });
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}", "--cert", client.certificate, "--key", client.key];
    },
  },
  {
    made: "nginx with a certificate that was made for clients",
    illness: "certificate-refused",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await nginxWithTls(`location / { proxy_pass http://${address}; ${RIGHT_LINES} }`, {
        leaf: { isClient: true },
      });
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx that says that this version of the interface is gone (return 410)",
    illness: "unexpected-answer",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await nginx(
        `location /v1/ { return 410; } location /v2/ { proxy_pass http://${address}; ${RIGHT_LINES} }`,
      );
      return [proxy.url("ws", "/v1/chat")];
    },
  },
  {
    made: "nginx with ssl_protocols TLSv1.1",
    illness: "tls-outdated",
    admit: async () => {
      const proxy = await nginxWithTls("ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;");
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "nginx with ssl_reject_handshake for every other name",
    illness: "tls-name-unknown",
    admit: async () => {
      const proxy = await nginxWithTls("ssl_reject_handshake on;");
      return [`wss://other.test:${proxy.port()}/chat`, "--resolve", "other.test:127.0.0.1"];
    },
    notInBrowser: "the name does not exist",
  },
  {
    made: "nginx with auth_basic over the WebSocket's location",
    illness: "authentication-required",
    admit: async () => {
      const proxy = await nginx('auth_basic "members"; auth_basic_user_file conf/nginx.conf;');
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx with deny all",
    illness: "forbidden",
    admit: async () => [(await nginx("deny all;")).url("ws", "/chat")],
  },
  {
    made: "nginx that hands the backend's name on as Host, before an application that compares it with Origin",
    illness: "origin-refused",
    admit: async () => {
      const application = await startApplication({
        webSocket: {
          verifyClient: ({ origin, req }, done) =>
            done(origin === undefined || new URL(origin).host === req.headers.host, 403, "Forbidden"),
        },
      });
      const proxy = await nginx(`location / { proxy_pass http://${application.address}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "nginx, and cookies of 20 kB",
    illness: "head-too-large",
    notInBrowser: "the cookies are the doctor's",
    admit: async () => {
      const proxy = await nginx("location / { return 200; }");
      return [proxy.url("ws", "/chat"), "--header", `Cookie: session=${"x".repeat(20_000)}`];
    },
  },
  {
    made: "nginx with right lines, before an application that refuses everybody itself (403), and --backend",
    illness: "application-refuses",
    admit: async () => {
      const application = await startRefuser(403, "no");
      const proxy = await nginx(`location / { proxy_pass http://${application.address}; ${RIGHT_LINES} }`);
      return [proxy.url("ws", "/chat"), "--backend", `ws://${application.address}/chat`];
    },
  },
];
