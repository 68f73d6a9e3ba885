/** Bytes of a request that try to become lines of somebody else's: headers of answers and requests, log lines. */
import { expect, test } from "vitest";
import { startRawBackend } from "./rig/backends.ts";
import { requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

/** A path that holds line ends once it has been decoded, as `$uri`, `$1` and the like do. */
const EVIL = "/x%0d%0aX-Injected:%20yes%0d%0a%0d%0aGET%20/admin%20HTTP/1.1%0d%0a%00".replace("%00", "");
/** Every way in which nginx's directives can put text of a request into a head that the proxy writes. */
const PLACES: readonly (readonly [what: string, location: string])[] = [
  ["return 302", "return 302 $uri;"],
  ["return 301 with a host", "return 301 https://other.test$uri;"],
  ["return with a URL alone", "return https://other.test$document_uri;"],
  ["return 200 with a header", "add_header X-Uri $uri always; return 200 ok;"],
  ["return 404 with a header", "add_header X-Uri $1 always; return 404;"],
  ["rewrite redirect", "rewrite ^/(.*)$ /moved/$1 redirect;"],
  ["rewrite permanent to a host", "rewrite ^/(.*)$ http://other.test/$1 permanent;"],
  ["set, then add_header", "set $copy $uri; add_header X-Copy $copy; return 200 ok;"],
  ["map of a capture", "add_header X-Map $mapped; return 200 ok;"],
  ["error_page that redirects", "error_page 404 =302 http://other.test/?$uri; return 404;"],
  ["error_page to a path", "error_page 404 =200 $uri/page; return 404;"],
  ["expires", "expires $uri; return 200 ok;"],
  ["default_type", "add_header Content-Type $uri; return 200 ok;"],
  ["a proxied target", "proxy_pass http://{{upstream}}/?$uri;"],
  ["a proxied path", "proxy_pass http://{{upstream}}$uri;"],
  ["a rewritten proxied path", "rewrite ^/(.*)$ /b/$1 break; proxy_pass http://{{upstream}};"],
  ["rewritten arguments", "rewrite ^/(.*)$ /b?q=$1 break; proxy_pass http://{{upstream}};"],
  ["set $args", "set $args $uri; proxy_pass http://{{upstream}};"],
  ["proxy_set_header", "proxy_set_header X-Uri $uri; proxy_pass http://{{upstream}};"],
  ["proxy_set_header Host", "proxy_set_header Host $uri; proxy_pass http://{{upstream}};"],
  ["proxy_set_header Connection", "proxy_set_header Connection $uri; proxy_pass http://{{upstream}};"],
  [
    "proxy_set_header Upgrade",
    "websocket_upgrade manual; proxy_upgrade_protocols any; proxy_set_header Upgrade $uri; proxy_pass http://{{upstream}};",
  ],
  ["proxy_method", "proxy_method $uri; proxy_pass http://{{upstream}};"],
  ["a target that nobody answers for", "proxy_pass http://127.0.0.1:{{port:closed}}/?$uri;"],
  ["proxy_redirect", "proxy_redirect / $uri/; proxy_pass http://{{upstream}};"],
  ["proxy_redirect by a pattern", "proxy_redirect ~^/(.*)$ /$1$uri; proxy_pass http://{{upstream}};"],
];

test("no byte of a request begins a line of an answer, of a request to the upstream, or of a log", async () => {
  const backend = await startRawBackend(
    "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
  );
  const gate = await startGate({
    config: `events {} http {
      map $uri $mapped { default none; ~^(?<all>.*)$ $all; }
      error_log logs/error.log info;
      ${PLACES.map(
        ([, directives], index) => `server { listen 127.0.0.1:{{port:p${index}}}; access_log logs/access.log;
          location ~ (.*) { ${directives} } }`,
      ).join("\n")} }`,
    values: { upstream: backend.address },
  });
  const wrong: unknown[] = [];
  for (const [index, [what]] of PLACES.entries()) {
    const client = await connectRaw({ port: gate.port(`p${index}`) });
    const before = backend.requests.length;
    await client.send(requestBytes({ target: EVIL }));
    const response = await readResponse(client);
    if (/^X-Injected/im.test(response.head)) wrong.push({ what, head: response.head });
    await client.close();
    for (const seen of backend.requests.slice(before)) {
      const isClean =
        /^[A-Z]+ \/\S* HTTP\/1\.[01]$/.test(seen.startLine) && seen.header("x-injected") === undefined;
      if (!isClean) wrong.push({ what, head: seen.head });
    }
    if (backend.requests.slice(before).length > 1)
      wrong.push({ what, requests: backend.requests.slice(before) });
  }
  expect(wrong).toEqual([]);
  for (const file of ["logs/access.log", "logs/error.log"]) {
    expect(gate.read(file)).not.toMatch(/^(X-Injected|GET \/admin)/m);
  }
});
