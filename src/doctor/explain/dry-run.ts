import { assert } from "../../base/assert.ts";
import { type ByteString, textFromByteString } from "../../base/bytes.ts";
import type { ListenerPlan, LocationPlan, ServerPlan } from "../../compile/plan.ts";
import { type BodySink, type Connection, type Downstream, Request } from "../../compile/request.ts";
import type { Scope } from "../../compile/scope.ts";
import type { RequestHead } from "../../http/head-parser.ts";
import type { ProxyRules } from "../../proxy/rules.ts";
import { handleRequest, routeState } from "../../route/run.ts";
import { captureServerName, selectServer } from "../../route/servers.ts";
import type { Question } from "./question.ts";
import type { Witness } from "./witness.ts";

/** What happened to the request, one thing after the other. */
export type Happening =
  /** A location was chosen, or left for an `if` in it, a named one, or one that an error page lies in. */
  | { readonly kind: "location"; readonly location: LocationPlan; readonly path: ByteString }
  | { readonly kind: "rewrite"; readonly scope: Scope; readonly from: string; readonly to: string }
  | { readonly kind: "log"; readonly level: string; readonly message: string };

/** How it ended. */
export type RunEnd =
  | { readonly kind: "proxy"; readonly request: Request; readonly rules: ProxyRules; readonly scope: Scope }
  | {
      readonly kind: "answer";
      readonly request: Request;
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      /** The module whose content it is; null for an answer that came before any was asked. */
      readonly module: string | null;
    };

export interface Run {
  readonly server: ServerPlan;
  readonly request: Request;
  readonly happenings: readonly Happening[];
  readonly end: RunEnd;
}

/**
 * Leads a request through the real phases of a plan, up to where it would be passed upstream. Nothing is dialled, no log is
 * written. Register it with the {@link Witness} that the plan was compiled with.
 */
export class DryRun implements Witness {
  readonly #happenings: Happening[] = [];
  #module: string | null = null;
  #end: (end: RunEnd) => void = () => {};
  #server: ServerPlan | null = null;

  async start(question: Question, head: RequestHead, listener: ListenerPlan): Promise<Run> {
    const host = head.host ?? "";
    const server = selectServer(listener, host);
    this.#server = server;
    const downstream = new Audience(() =>
      this.#end({
        kind: "answer",
        request,
        status: request.response.status,
        headers: headersOf(request),
        module: this.#module,
      }),
    );
    const state = {
      ...routeState,
      finish: () => {},
      logs: () => true,
      log: (_: Request, level: string, message: string) =>
        this.#happenings.push({ kind: "log", level, message: textFromByteString(message) }),
    };
    const request: Request = new Request(
      state,
      connectionOf(question, listener),
      downstream,
      head,
      server,
      performance.now(),
    );
    captureServerName(request, host);
    this.#watchLocation(request);
    const end = await new Promise<RunEnd>((resolve) => {
      this.#end = resolve;
      handleRequest(request);
    });
    return { server, request, happenings: this.#happenings, end };
  }

  /** The phases choose locations by assigning them. */
  #watchLocation(request: Request): void {
    let current = request.location;
    Object.defineProperty(request, "location", {
      get: () => current,
      set: (location: LocationPlan) => {
        current = location;
        this.#happenings.push({ kind: "location", location, path: request.path });
      },
    });
  }

  onRewrite(
    request: Request,
    scope: Scope,
    before: { readonly path: ByteString; readonly args: ByteString },
  ): void {
    const from = joined(before.path, before.args);
    const to = joined(request.path, request.args);
    if (from !== to) this.#happenings.push({ kind: "rewrite", scope, from, to });
  }

  onProxy(request: Request, rules: ProxyRules, scope: Scope): void {
    assert(this.#server !== null, "a request is passed on after it began");
    this.#end({ kind: "proxy", request, rules, scope });
  }

  onContent(_: Request, module: string): void {
    this.#module = module;
  }
}

function joined(path: ByteString, args: ByteString): string {
  return textFromByteString(args === "" ? path : `${path}?${args}`);
}

function headersOf(request: Request): readonly (readonly [string, string])[] {
  const { headers } = request.response;
  return Array.from({ length: headers.length }, (_, i) => [
    textFromByteString(headers.nameAt(i)),
    textFromByteString(headers.valueAt(i)),
  ]);
}

function connectionOf(
  { clientAddress, scheme, host, listenPort }: Question,
  listener: ListenerPlan,
): Connection {
  return {
    serial: 1,
    remoteAddress: clientAddress,
    remotePort: 50_000,
    localAddress: listener.address.kind === "unix" ? "unix:" : host,
    localPort: listenPort,
    listener,
    scheme,
    tlsInfo: null,
    proxyProtocol: null,
    requests: 1,
    openedAtMs: performance.now(),
  };
}

/** Takes an answer in place of a client. */
class Audience implements Downstream {
  readonly requestBodyLength = 0;
  readonly #onAnswer: () => void;

  constructor(onAnswer: () => void) {
    this.#onAnswer = onAnswer;
  }

  readBody(sink: BodySink): void {
    sink.onBodyEnd(null);
  }

  pauseBody(): void {}

  resumeBody(): void {}

  sendInterim(): void {}

  sendHead(): void {
    this.#onAnswer();
  }

  write(): boolean {
    return true;
  }

  end(): void {}

  /** The connection is closed without a word (444). */
  abort(): void {
    this.#onAnswer();
  }

  upgrade(): never {
    throw new Error("a dry run upgrades nothing");
  }
}
