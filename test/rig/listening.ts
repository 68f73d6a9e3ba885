/** A listener on a plan made by hand, with a stand-in for route/: what src/listen is tested with. */
import type {
  CoreLocation,
  CoreServer,
  ListenerPlan,
  LocationPlan,
  LocationTree,
  ServerPlan,
} from "../../src/compile/plan.ts";
import type { Request } from "../../src/compile/request.ts";
import { constantTemplate } from "../../src/compile/template.ts";
import { Listener, type ListenerOptions } from "../../src/listen/listener.ts";
import type { RequestHandler } from "../../src/listen/request-handler.ts";
import { ConnectionCounts } from "../../src/observe/connections.ts";
import { ErrorLog } from "../../src/observe/error-log.ts";
import { LogFile } from "../../src/observe/log-file.ts";
import { withContext } from "../../src/route/log-context.ts";
import { obtain } from "./ledger.ts";
import { connectRaw, type RawPeer } from "./raw-peer.ts";

/** A log that tests can read: whole lines. */
export class MemoryLog extends LogFile {
  readonly lines: string[] = [];

  constructor() {
    super("memory");
  }

  override write(line: string): void {
    this.lines.push(line.trimEnd());
  }
}

export interface PlanSettings {
  readonly server?: Partial<CoreServer>;
  readonly location?: Partial<CoreLocation>;
  readonly listener?: Partial<ListenerPlan>;
  readonly serverPlan?: Partial<ServerPlan>;
  readonly log?: LogFile;
}

const NO_LOCATIONS: LocationTree = { exact: new Map(), prefixes: [], regexes: [] };

const CORE_SERVER: CoreServer = {
  client_header_timeout: 60_000,
  client_header_buffer_size: 1024,
  large_client_header_buffers: { count: 4, size: 8192 },
  max_headers: 1000,
  ignore_invalid_headers: true,
  underscores_in_headers: false,
  merge_slashes: true,
};

const CORE_LOCATION: CoreLocation = {
  internal: false,
  client_max_body_size: 1024 * 1024,
  client_body_buffer_size: 16 * 1024,
  client_body_temp_path: "/tmp",
  client_body_timeout: 60_000,
  send_timeout: 60_000,
  keepalive_timeout: { timeout: 75_000, header: null },
  keepalive_requests: 1000,
  keepalive_time: 3_600_000,
  lingering_close: "on",
  lingering_time: 30_000,
  lingering_timeout: 5_000,
  reset_timedout_connection: false,
  tcp_nodelay: true,
  chunked_transfer_encoding: true,
  server_tokens: "on",
  absolute_redirect: true,
  server_name_in_redirect: false,
  port_in_redirect: true,
  recursive_error_pages: false,
  error_page: [],
  log_not_found: true,
  etag: true,
  types: new Map(),
  default_type: "text/plain",
  root: { template: constantTemplate("/var/empty"), isAlias: false },
  limit_rate: null,
  limit_rate_after: 0,
};

export function makeServerPlan(settings: PlanSettings = {}): ServerPlan {
  const root: LocationPlan = {
    name: "server",
    path: "",
    match: "server",
    redirectsToSlash: false,
    locations: NO_LOCATIONS,
    limitExcept: null,
    core: { ...CORE_LOCATION, ...settings.location },
    rewrite: null,
    steps: [],
    content: [],
    headFilters: [],
    logSteps: [],
    errorLog: new ErrorLog(settings.log === undefined ? [] : [{ file: settings.log, level: "info" }]),
    span: null,
  };
  return {
    name: "",
    names: [],
    core: { ...CORE_SERVER, ...settings.server },
    tls: null,
    http2: { http2: false, http2_max_concurrent_streams: 128, http2_body_preread_size: 65_536 },
    passesWebSockets: true,
    rewrite: null,
    root,
    locations: NO_LOCATIONS,
    named: new Map(),
    span: null,
    ...settings.serverPlan,
  };
}

export function makeListenerPlan(settings: PlanSettings = {}): ListenerPlan {
  return {
    key: "127.0.0.1:0",
    address: { kind: "inet", host: "127.0.0.1", port: 0 },
    ssl: false,
    http2: false,
    passesWebSockets: true,
    proxy_protocol: false,
    backlog: 511,
    ipv6only: true,
    reuseport: false,
    so_keepalive: null,
    span: null,
    defaultServer: makeServerPlan(settings),
    names: { exact: new Map(), leadingWildcard: new Map(), trailingWildcard: new Map(), regexes: [] },
    specific: new Map(),
    ...settings.listener,
  };
}

/** Answers at once with a fixed-length body. */
export function answerText(request: Request, status: number, body: string): void {
  request.response.status = status;
  request.response.bodyLength = body.length;
  request.sendHead();
  request.downstream.write(Buffer.from(body, "latin1"), 0, body.length);
  request.downstream.end(null);
}

/** A stand-in for route/: every request goes to `handle`; keeps finished requests and error log lines. */
export class StandIn implements RequestHandler {
  readonly finished: Request[] = [];
  handle: (request: Request) => void;
  readonly routeState: RequestHandler["routeState"] = {
    resume: () => {
      throw new Error("the stand-in resumes nothing");
    },
    finish: (request) => {
      this.finished.push(request);
      this.#onFinish?.();
    },
    logs: (request, level) => request.location.errorLog.logs(level),
    log: (request, level, message) => request.location.errorLog.write(level, withContext(request, message)),
  };
  #onFinish: (() => void) | null = null;

  constructor(handle: (request: Request) => void) {
    this.handle = handle;
  }

  handleRequest(request: Request): void {
    this.handle(request);
  }

  answerStatus(request: Request, status: number): void {
    request.response.closeAfter = true;
    answerText(request, status, `status ${status}`);
  }

  /** Resolves when `count` requests are finished. */
  async untilFinished(count: number): Promise<void> {
    while (this.finished.length < count) {
      await new Promise<void>((resolve) => {
        this.#onFinish = resolve;
      });
    }
  }
}

export interface Listening {
  readonly listener: Listener;
  readonly port: number;
  readonly counts: ConnectionCounts;
  readonly log: MemoryLog;
  readonly handler: StandIn;
  readonly connect: () => Promise<RawPeer>;
}

/** Opens a listener on a free port of 127.0.0.1; given back at the end of the test. */
export async function startListener(
  handle: (request: Request) => void,
  settings: PlanSettings = {},
  options: Partial<ListenerOptions> = {},
): Promise<Listening> {
  const log = new MemoryLog();
  const counts = new ConnectionCounts();
  const handler = new StandIn(handle);
  const plan = makeListenerPlan({ log, ...settings });
  const listener = await Listener.open(plan, { handler, counts, connectionsMax: () => 512, ...options });
  if (!(listener instanceof Listener)) throw new Error(listener.message);
  obtain("a listener", async () => {
    listener.closeNow();
    await listener.close();
  });
  const { address } = listener;
  const port = address.kind === "inet" ? address.port : 0;
  return { listener, port, counts, log, handler, connect: () => connectRaw({ port }) };
}
