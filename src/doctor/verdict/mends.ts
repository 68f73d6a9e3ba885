/** Mends that several illnesses share, for each product that can be the cause. */
import { type Words, words } from "../words.ts";
import type { Mend, Product } from "./illness.ts";

export function mend(product: Product, en: string, zh: string, lines?: string): Mend {
  const what: Words = words(en, zh);
  return lines === undefined ? { product, what } : { product, what, lines };
}

/** To let the Upgrade through. */
export const PASS_THE_UPGRADE: readonly Mend[] = [
  mend(
    "nginx",
    "Hand Upgrade and Connection on, in HTTP/1.1. The map belongs into http { }, outside server { }.",
    "用 HTTP/1.1 转发 Upgrade 和 Connection。map 写在 http { } 里、server { } 之外。",
    `map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      close;
}
location {path} {
    proxy_pass http://BACKEND;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Host $host;
    proxy_read_timeout 300s;
}`,
  ),
  mend(
    "haproxy",
    "HAProxy passes upgrades by itself; look for rules that delete Upgrade or Connection, and for option httpclose or forceclose.",
    "HAProxy 默认会转发升级请求；检查是否有删除 Upgrade 或 Connection 的规则，以及 option httpclose、forceclose。",
    `defaults
    mode http
    option http-server-close
    timeout tunnel 1h`,
  ),
  mend(
    "caddy",
    "reverse_proxy passes upgrades by itself; take header_up lines about Connection and Upgrade away.",
    "reverse_proxy 默认会转发升级请求；删掉改写 Connection 和 Upgrade 的 header_up。",
    `reverse_proxy {path}* BACKEND`,
  ),
  mend(
    "apache",
    "Say upgrade=websocket, which 2.4.47 and later know; before that load mod_proxy_wstunnel and mod_rewrite. The line has to stand before the ProxyPass of /.",
    "写上 upgrade=websocket（2.4.47 起支持）；更早的版本要加载 mod_proxy_wstunnel 和 mod_rewrite。这一行要放在 / 的 ProxyPass 之前。",
    `ProxyPass "{path}" "http://BACKEND{path}" upgrade=websocket
# before 2.4.47, instead:
RewriteEngine on
RewriteCond %{HTTP:Upgrade} =websocket [NC]
RewriteRule "^{path}(.*)" "ws://BACKEND{path}$1" [P,L]`,
  ),
  mend(
    "traefik",
    "Traefik passes upgrades by itself; look at middlewares that set Connection or Upgrade (headers, compress, buffering).",
    "Traefik 默认会转发升级请求；检查改写 Connection 或 Upgrade 的中间件（headers、compress、buffering）。",
  ),
  mend(
    "ingress-nginx",
    "ingress-nginx passes upgrades by itself, unless a snippet sets Connection; the service has to be one that speaks WebSocket.",
    "ingress-nginx 默认会转发升级请求，除非 snippet 改写了 Connection；后端 service 必须支持 WebSocket。",
    `metadata:
  annotations:
    nginx.ingress.kubernetes.io/proxy-http-version: "1.1"
    nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
    nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"`,
  ),
  mend(
    "aws-alb",
    "An ALB passes WebSockets where the target group's protocol version is HTTP1, not HTTP2 or gRPC; a classic load balancer needs a TCP listener.",
    "ALB 的目标组协议版本必须是 HTTP1（不是 HTTP2 或 gRPC）；经典负载均衡器要使用 TCP 监听器。",
  ),
  mend(
    "cloudflare",
    "Switch on WebSockets: Network, WebSockets.",
    "打开 WebSockets 开关：Network → WebSockets。",
  ),
];

/** To let an idle tunnel live. */
export const KEEP_IT_ALIVE: readonly Mend[] = [
  mend(
    "application",
    "Send a ping, or a small message, more often than every {half} seconds, from the server or from the page. It mends every hop at once.",
    "由服务端发送 ping，或由页面发送小消息，间隔小于 {half} 秒。这一处改动对每一跳都有效。",
    `// Node, ws
setInterval(() => { for (const client of server.clients) client.ping(); }, 20_000);
// page: a browser cannot send a ping, so send a message that the server ignores
setInterval(() => socket.readyState === 1 && socket.send("ping"), 20_000);`,
  ),
  mend(
    "nginx",
    "Raise the read timeout in the location of the WebSocket; 60s is what holds where nothing is written.",
    "在 WebSocket 的 location 里调大读超时；不写时默认是 60s。",
    `location {path} {
    proxy_read_timeout 3600s;
    proxy_send_timeout 3600s;
}`,
  ),
  mend(
    "haproxy",
    "timeout tunnel holds for upgraded connections; without it timeout client and timeout server do.",
    "升级后的连接由 timeout tunnel 决定；没有它就由 timeout client 和 timeout server 决定。",
    `defaults
    timeout tunnel 1h
    timeout client-fin 30s`,
  ),
  mend(
    "apache",
    "A tunnel may be idle for the longer of Timeout (60 s where nothing is written) and ProxyTimeout or timeout= of the ProxyPass: raise the last.",
    "空闲连接的时限取 Timeout（不写时 60 秒）与 ProxyTimeout（或 ProxyPass 的 timeout=）中较大的：调大后者。",
    `ProxyPass "{path}" "http://BACKEND{path}" upgrade=websocket timeout=3600`,
  ),
  mend(
    "traefik",
    "Traefik has no idle timeout for tunnels (respondingTimeouts are for requests): look at the balancer before it.",
    "Traefik 对隧道没有空闲超时（respondingTimeouts 只针对普通请求）：检查它前面的负载均衡。",
  ),
  mend(
    "ingress-nginx",
    "The annotations stand for nginx's timeouts, in seconds.",
    "这些注解对应 nginx 的超时，单位是秒。",
    `nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"`,
  ),
  mend(
    "aws-alb",
    "The idle timeout of the load balancer is 60 seconds by default; it can be up to 4000.",
    "负载均衡器的空闲超时默认 60 秒，最大 4000 秒。",
    `aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN \\
    --attributes Key=idle_timeout.timeout_seconds,Value=3600`,
  ),
  mend(
    "cloudflare",
    "Cloudflare ends tunnels that were idle for 100 seconds, and this cannot be changed below Enterprise: send pings.",
    "Cloudflare 会切断空闲 100 秒的连接，Enterprise 以下无法修改：请发送 ping。",
  ),
];

/** To route the path to the WebSocket. */
export const ROUTE_THE_PATH: readonly Mend[] = [
  mend(
    "nginx",
    "Give the path a location. A regular expression location wins over a prefix one, unless that says ^~. A URI behind the backend in proxy_pass replaces the part that matched; return and try_files answer in its place.",
    "为该路径写一个 location。正则 location 优先于前缀 location，除非后者写了 ^~。proxy_pass 后端地址之后的 URI 会替换匹配到的部分；return 和 try_files 会直接回答。",
    `location ^~ {path} {
    proxy_pass http://BACKEND;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
  ),
  mend(
    "haproxy",
    "Send the path to the backend that speaks WebSocket.",
    "把该路径送到支持 WebSocket 的后端。",
    `use_backend websocket if { path_beg {path} }`,
  ),
  mend(
    "caddy",
    "Give the path a reverse_proxy; handle_path takes the prefix away, handle leaves it.",
    "为该路径写 reverse_proxy；handle_path 会去掉前缀，handle 会保留。",
    `handle {path}* {
    reverse_proxy BACKEND
}`,
  ),
  mend(
    "apache",
    "ProxyPass of the path, before that of /.",
    "为该路径写 ProxyPass，放在 / 的之前。",
    `ProxyPass "{path}" "http://BACKEND{path}" upgrade=websocket`,
  ),
  mend(
    "traefik",
    "A router whose rule takes the path.",
    "写一个匹配该路径的路由。",
    `rule: Host(\`{host}\`) && PathPrefix(\`{path}\`)`,
  ),
  mend(
    "ingress-nginx",
    "A path of the ingress, with pathType: Prefix.",
    "在 ingress 里写上该路径，pathType: Prefix。",
    `- path: {path}
  pathType: Prefix
  backend: { service: { name: SERVICE, port: { number: 80 } } }`,
  ),
  mend(
    "application",
    "Compare with the path on which the application listens for WebSockets, letter by letter and slash by slash.",
    "与应用监听 WebSocket 的路径逐字核对，包括斜杠。",
  ),
];
