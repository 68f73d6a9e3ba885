/**
 * Captures, arguments and their escaping: where nginx has once written past its buffers (CVE-2026-42533, CVE-2026-42945,
 * CVE-2026-9256). Each program runs here and in the real nginx, for paths with and without escapes.
 */
import { expect, test } from "vitest";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

/** Locations, each an attack or a neighbour of one; what comes out is in the body or in Location. */
const PROGRAMS: Readonly<Record<string, string>> = {
  // CVE-2026-42945: a question mark in a replacement makes what follows it arguments, and only that.
  "args-then-set": "rewrite ^/args-then-set/(.*)$ /x?a=$1; set $y $1; return 200 '$uri|$args|$y';",
  "args-then-rewrite":
    "rewrite ^/args-then-rewrite/(.*)$ /two/$1?a=$1; rewrite ^/two/(.*)$ /three/$1; return 200 '$uri|$args|$1';",
  "args-then-if":
    "rewrite ^/args-then-if/(.*)$ /x/$1?a=$1; if ($uri ~ ^/x/(.+)$) { set $y $1; } return 200 '$uri|$args|$y|$1';",
  "args-then-return": "rewrite ^/args-then-return/(.*)$ /x?a=$1&b=$1; return 302 /y/$1?c=$1;",
  "args-twice":
    "rewrite ^/args-twice/(.)(.*)$ /x/$2?a=$1; rewrite ^/x/(.*)$ /y/$1?b=$1; return 200 '$uri|$args';",
  "args-dropped": "rewrite ^/args-dropped/(.*)$ /x/$1?a=$1?; return 200 '$uri|$args';",
  "args-only": "rewrite ^/args-only/(.*)$ ?a=$1; return 200 '$uri|$args';",
  "question-in-capture": "rewrite ^/question-in-capture/(.*)$ /x/$1; return 200 '$uri|$args';",
  "set-args": "set $args 'a=$arg_q'; rewrite ^/set-args/(.*)$ /x/$1; return 200 '$uri|$args|$is_args';",
  // CVE-2026-9256: groups within groups, in a redirect, where captures grow by being escaped.
  overlap: "rewrite ^/overlap/((.*))$ /x/$1$2 redirect;",
  "overlap-args": "rewrite ^/overlap-args/((.)(.*))$ /x?a=$1&b=$2&c=$3 permanent;",
  "overlap-absolute": "rewrite ^/overlap-absolute/((.*))$ http://other.test/$2/$1?z=$2;",
  "empty-groups": "rewrite ^/empty-groups/(z)?(.*)$ /x/$1$2?a=$1 redirect;",
  // CVE-2026-42533: a map's captures, and whose $1 is whose.
  "map-named": "return 200 '$mapped_named|$kind';",
  "map-numbered": "return 200 '$mapped_number';",
  "map-in-map": "return 200 '$mapped_twice';",
  // Scope: what an inner match leaves for the outside.
  "if-captures": "if ($arg_q ~ ^(.)(.*)$) { set $y $2$1; } return 200 '$1|$2|$y';",
  "if-without-groups":
    "rewrite ^/if-without-groups/(.*)$ /x/$1; if ($arg_q ~ .) { set $y 1; } return 200 '$1|$y';",
  "failed-match":
    "if ($uri ~ ^/failed-match/(.*)$) { set $y $1; } if ($uri ~ ^(nothing)$) { set $y $1; } return 200 '$1|$y';",
  "negated-match": "if ($uri !~ ^/other/(.*)$) { set $y '$1!'; } return 200 '$1|$y';",
  "named-twice":
    "if ($uri ~ ^/named-twice/(?<n>.).*$) { set $y $n; } if ($arg_q ~ (?<n>.)$) { set $z $n; } return 200 '$y|$z|$n';",
  "more-than-nine":
    "rewrite ^/more-than-nine/(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)(.?)$ /x; return 200 '$1$9$10|$11';",
};

const MAPS = `
  map $uri $kind { default none; ~^/map-named/(?<first>.)(?<rest>.*)$ "named $rest $first"; }
  map $uri $mapped_named { default none; ~^/map-named/(?<head>.) "$head"; }
  map $uri $mapped_number { default none; ~^/map-numbered/(.)(.*)$ "$2-$1"; }
  map $mapped_inner $mapped_twice { default "default $mapped_inner"; ~^(.)-(.*)$ "$2+$1"; }
  map $uri $mapped_inner { default none; ~^/map-in-map/(.)(.*)$ "$1-$2"; }`;

const TAILS = [
  "",
  "a",
  "a/b",
  "a%20b",
  "a%26b=c",
  "a%2Bb",
  "a+b",
  "a%3Fb",
  "a%23b%25c",
  "%C3%BC",
  "a%0D%0Ab",
  "%7e%22%27",
];
const QUERIES = ["", "?q=v", "?q=a%26b&r", "?"];

async function answer(proxy: Proxy, target: string): Promise<string> {
  const client = await connectRaw({ port: proxy.port() });
  await client.send(`GET ${target} HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n`);
  try {
    const { status, body, ...response } = await readResponse(client);
    const where = response.header("location")?.replace(`:${proxy.port()}`, "");
    return `${status} ${where ?? JSON.stringify(body.replace(/(nginx|wsgate)\/[\d.]+/, ""))}`;
  } finally {
    await client.close();
  }
}

test("captures and arguments come out as in the real nginx, whatever was escaped", async (context) => {
  requires(context, "nginx");
  const locations = Object.entries(PROGRAMS).map(([name, program]) => `location /${name}/ { ${program} }`);
  const http = `default_type text/plain; ${MAPS} server { listen 127.0.0.1:{{port:front}}; server_name front.test; ${locations.join("\n")} }`;
  const [gate, nginx] = await Promise.all([startGate({ http }), startNginx({ http })]);
  const differences: unknown[] = [];
  for (const name of Object.keys(PROGRAMS)) {
    for (const tail of TAILS) {
      for (const query of QUERIES) {
        const target = `/${name}/${tail}${query}`;
        const [ours, theirs] = await Promise.all([answer(gate, target), answer(nginx, target)]);
        if (ours !== theirs) differences.push({ target, ours, theirs });
      }
    }
  }
  expect(differences).toEqual([]);
});

test("a map leaves the captures of others alone, which in nginx it overwrites", async () => {
  const gate = await startGate({
    http: `map $arg_q $mapped { default none; ~^(.)(.*)$ "$2"; }
      server { listen 127.0.0.1:{{port:front}}; location ~ ^/(\\w+)/(\\w+)$ { return 200 "$1|$mapped|$1|$2"; } }`,
  });
  expect(await answer(gate, "/one/two?q=xyz")).toBe('200 "one|yz|one|two"');
});
