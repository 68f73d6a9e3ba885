/** What a compiled plan does for each request: templates rendered, a location chosen. */
import { PassThrough } from "node:stream";
import { assert } from "../../src/base/assert.ts";
import { streamTransport } from "../../src/base/transport.ts";
import { compile } from "../../src/compile/compile.ts";
import type { Plan, ServerPlan } from "../../src/compile/plan.ts";
import { type Connection, type Downstream, Request, type RouteState } from "../../src/compile/request.ts";
import { type RequestHead, RequestHeadParser } from "../../src/http/head-parser.ts";
import { normalizePath } from "../../src/http/uri.ts";
import { modules } from "../../src/modules/index.ts";
import { findLocation } from "../../src/route/locate.ts";
import type { HotFunction } from "../loop.ts";

const PREFIXES: string = Array.from({ length: 50 }, (_, i) => `location /service-${i}/api/ { }`).join("\n");
const PATTERNS: string = Array.from({ length: 10 }, (_, i) => `location ~ \\.type${i}$ { }`).join("\n");

/** Locations whose `root` stands for any template. */
const CONFIGURATION = `
events { }
http {
    server {
        listen 127.0.0.1:8080;
        server_name bench.test;
        location = /exact { }
        ${PREFIXES}
        ${PATTERNS}
        location = /constant { root /srv/www; }
        location = /one { root $host; }
        location = /five { root /srv/$host/$remote_addr/$scheme/$http_user_agent/$arg_page; }
    }
}
`;

const noRoute: RouteState = { resume: () => {}, finish: () => {}, logs: () => false, log: () => {} };

const noDownstream: Downstream = {
  requestBodyLength: 0,
  readBody: () => {},
  pauseBody: () => {},
  resumeBody: () => {},
  sendInterim: () => {},
  sendHead: () => {},
  write: () => true,
  end: () => {},
  abort: () => {},
  upgrade: () => ({ transport: streamTransport(new PassThrough(), NOBODY), early: Buffer.alloc(0) }),
};

/** Listens to the transport of an upgrade, which never comes. */
const NOBODY = { onBytes: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };

const REQUEST: Buffer = Buffer.from(
  "GET /search?page=2&sort=newest HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\n\r\n",
);

function connectionOf({ listeners: [listener] }: Plan): Connection {
  assert(listener !== undefined, "the configuration has a listener");
  return {
    serial: 1,
    remoteAddress: "192.0.2.1",
    remotePort: 50_000,
    localAddress: "192.0.2.2",
    localPort: 80,
    listener,
    scheme: "http",
    tlsInfo: null,
    proxyProtocol: null,
    requests: 1,
    openedAtMs: 0,
  };
}

function headOf(bytes: Buffer): RequestHead {
  const parser = new RequestHeadParser();
  parser.execute(bytes, 0, bytes.length);
  assert(parser.head !== null, "the request is a good one");
  return parser.head;
}

/** A rendered template is a rope of strings until somebody wants its bytes; so the bytes are what is timed. */
const scratch: Buffer = Buffer.alloc(4096);

function render(server: ServerPlan, path: string, request: Request): () => unknown {
  const template = server.locations.exact.get(path)?.core.root.template;
  assert(template !== undefined, "the location has a root");
  return () => scratch.write(template.render(request), "latin1");
}

function locate(server: ServerPlan, path: string, request: Request): () => unknown {
  return () => {
    request.path = path;
    return findLocation(request, server.locations);
  };
}

export async function routing(): Promise<readonly HotFunction[]> {
  const { plan } = await compile({
    file: "bench.conf",
    text: CONFIGURATION,
    prefix: "/tmp",
    defaultErrorLog: "stderr",
    modules,
  });
  assert(plan !== null, "the configuration is a good one");
  const connection = connectionOf(plan);
  const server = connection.listener.defaultServer;
  const head = headOf(REQUEST);
  const makeRequest = (): Request => new Request(noRoute, connection, noDownstream, head, server, 0);
  const request = makeRequest();

  return [
    { name: "make a request out of its head", run: makeRequest },
    { name: "normalize a path", run: () => normalizePath("/service-42/api/users/7", true) },
    { name: "choose a location: exact", run: locate(server, "/exact", request) },
    {
      name: "choose a location: one of 50 prefixes, 10 patterns miss",
      run: locate(server, "/service-42/api/users/7", request),
    },
    {
      name: "choose a location: the last of 10 patterns",
      run: locate(server, "/service-42/api/users.type9", request),
    },
    { name: "choose a location: none", run: locate(server, "/elsewhere", request) },
    { name: "render a constant", run: render(server, "/constant", request) },
    { name: "render one variable", run: render(server, "/one", request) },
    { name: "render five variables between text", run: render(server, "/five", request) },
  ];
}
