import { expect, test } from "vitest";
import { RowIndex } from "../../compile/walk.ts";
import { parseConfig } from "../../config/parse.ts";
import { modules } from "../../modules/index.ts";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { evaluate, HANDSHAKES, PLAIN_REQUEST } from "./evaluate.ts";
import { nearest, nearestList } from "./levels.ts";

const index = new RowIndex(modules);

function read(text: string): Configuration {
  return readConfiguration(parseConfig({ file: "/nginx.conf", text }).tree, index);
}

const inServer = (text: string): Configuration => read(`events {} http { server { ${text} } }`);

test.each([
  ["events {} http { server { location / {} } }", "main", false],
  ["server { location / {} }", "http", true],
  ["upstream a { server b; } map $a $b { c d; }", "http", true],
  ["location / {}", "server", true],
  ["proxy_pass http://a;", "location", true],
  ["proxy_set_header A b;", "main", true],
] as const)("%s is taken for what stands in %s", (text, kind, isFragment) => {
  const configuration = read(text);
  expect(configuration.main.kind).toBe(kind);
  expect(configuration.isFragment).toBe(isFragment);
});

test.each([
  ["location /a {}", "prefix", "/a", false],
  ["location = /a {}", "exact", "/a", false],
  ["location =/a {}", "exact", "/a", false],
  ["location ^~ /a {}", "prefix first", "/a", false],
  ["location ~ ^/a {}", "regex", "^/a", false],
  ["location ~* \\.js$ {}", "regex", "\\.js$", true],
  ["location ~*\\.js$ {}", "regex", "\\.js$", true],
  ["location @a {}", "named", "@a", false],
] as const)("%s is read as nginx reads it", (text, match, path, isCaseless) => {
  expect(inServer(text).locations[0]).toMatchObject({ match, path, isCaseless });
});

test.each([
  ["listen 80;", "*:80", 80, false],
  ["listen 0.0.0.0:8080 ssl;", "*:8080", 8080, true],
  ["listen [::]:443 ssl http2;", "[::]:443", 443, true],
  ["listen [::1];", "[::1]:80", 80, false],
  ["listen example.org;", "example.org:80", 80, false],
  ["listen unix:/run/x.sock;", "unix:/run/x.sock", null, false],
  ["listen 443; ssl on;", "*:443", 443, true],
  ["", "*:80", 80, false],
] as const)("%j listens on %s", (text, address, port, isTls) => {
  expect(inServer(text).servers[0]?.listens[0]).toMatchObject({ address, port, isTls });
});

test("ssl at an address holds for all servers of the address, as in nginx", () => {
  const { servers } = read(
    "http { server { listen 443 ssl; } server { listen 0.0.0.0:443; } server { listen 80; } }",
  );
  expect(servers.map(({ listens }) => listens[0]?.isTls)).toEqual([true, true, false]);
});

test.each([
  ["http://backend:3000/a/?b", "http", "backend", "/a/?b"],
  ["https://[::1]:3000", "https", "[::1]", null],
  ["http://unix:/run/a.sock:/b", "http", "unix:/run/a.sock", "/b"],
  ["http://unix:/run/a.sock", "http", "unix:/run/a.sock", null],
  ["http://app$request_uri", "http", "app", "$request_uri"],
  ["$proto://app:80", "$proto", "app", null],
  ["$backend", "", "$backend", null],
  ["http://$host:$port/", "http", "$host", "/"],
] as const)("proxy_pass %s", (url, scheme, host, uri) => {
  const { proxy } = inServer(`location / { proxy_pass ${url}; }`).locations[0] ?? {};
  expect(proxy).toMatchObject({ scheme, host, uri });
});

test("a nearest value comes from the closest level, a list from the closest that has an entry", () => {
  const { locations } = read(`http { proxy_read_timeout 1s; proxy_set_header A a; proxy_set_header B b;
    server { proxy_read_timeout 2s; location /x { proxy_set_header C c; location /x/y { proxy_read_timeout 3s; } } location /z {} } }`);
  const seen = locations.map(({ level, path }) => [
    path,
    nearest(level, "proxy_read_timeout")?.args[0]?.text,
    nearestList(level, "proxy_set_header").map(({ args }) => args[0]?.text),
  ]);
  expect(seen).toEqual([
    ["/x", "2s", ["C"]],
    ["/x/y", "3s", ["C"]],
    ["/z", "2s", ["A", "B"]],
  ]);
});

test("blocks of mail, stream and unknown modules hold no server or location of http", () => {
  const { servers, locations } = read(
    "mail { server { listen 25; } } stream { server { listen 1; } } strange { server { location / {} } } http { server { location / {} } }",
  );
  expect(servers).toHaveLength(1);
  expect(locations).toHaveLength(1);
});

test.each([
  ["sets Upgrade", "certain", "location / { proxy_pass http://a; proxy_set_header Upgrade $http_upgrade; }"],
  [
    "sends Connection: upgrade",
    "certain",
    "location / { proxy_pass http://a; proxy_set_header Connection upgrade; }",
  ],
  ["a directive of wsgate's", "certain", "location / { proxy_pass http://a; websocket_log end; }"],
  ["/ws", "likely", "location /ws { proxy_pass http://a; }"],
  ["/api/socket.io/", "likely", "location /api/socket.io/ { proxy_pass http://a; }"],
  ["a pattern", "likely", "location ~ ^/(ws|wss)$ { proxy_pass http://a; }"],
  ["/chat", "possible", "location /chat { proxy_pass http://a; }"],
  ["/news", null, "location /news { proxy_pass http://a; }"],
  ["/aws/", null, "location /aws/ { proxy_pass http://a; }"],
  ["/ws without a proxy", null, "location /ws { root html; }"],
] as const)("evidence of WebSockets: %s", (_, strength, text) => {
  expect(inServer(text).locations[0]?.evidence?.strength ?? null).toBe(strength);
});

const MAPS = read(`
  map $http_upgrade $plain { default upgrade; '' close; }
  map $http_upgrade $keys { WebSocket a; ~*^web b; ~^h2c c; }
  map $http_connection $tokens { default no; "~*(^|,)\\s*upgrade\\s*(,|$)" yes; }
  map $plain $nested { upgrade "x-$plain"; default none; }
  map $loop $loop { default $loop; }
  map $host $hosts { hostnames; *.example a; }
  map $unknown $of_unknown { default a; }
  map $http_upgrade $broken { ~( a; default b; }
  server { set $once $plain; set $twice a; set $twice b; }`);

test.each([
  ["upgrade", "upgrade", "upgrade"],
  ["$http_upgrade", "websocket", ""],
  ["a${http_upgrade}b", "awebsocketb", "ab"],
  ["$plain", "upgrade", "close"],
  ["$keys", "a", ""],
  ["$tokens", "yes", "no"],
  ["$nested", "x-upgrade", "none"],
  ["$once", "upgrade", "close"],
  ["$twice", undefined, undefined],
  ["$loop", undefined, undefined],
  ["$hosts", undefined, undefined],
  ["$of_unknown", undefined, undefined],
  ["$broken", undefined, undefined],
  ["$host", undefined, undefined],
])("%s is %j for a handshake and %j for a page", (value, handshake, plain) => {
  for (const request of HANDSHAKES) expect(evaluate(value, request, MAPS)).toBe(handshake);
  expect(evaluate(value, PLAIN_REQUEST, MAPS)).toBe(plain);
});
