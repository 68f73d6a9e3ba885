import { textFromByteString } from "../../base/bytes.ts";
import { compile, type CompileInput } from "../../compile/compile.ts";
import type { ListenerPlan, LocationPlan, Plan, ServerPlan } from "../../compile/plan.ts";
import type { Diagnostic } from "../../config/diagnostic.ts";
import type { Span } from "../../config/position.ts";
import { RequestHeadParser } from "../../http/head-parser.ts";
import { modules } from "../../modules/index.ts";
import { type Candidate, compareLocations, compareServers } from "./candidates.ts";
import { DryRun, type Happening, type Run } from "./dry-run.ts";
import { explainPassing, type Passing } from "./passing.ts";
import type { Question } from "./question.ts";
import { type Witness, WitnessedModules } from "./witness.ts";

/** What would become of a request, and why. */
export type Explanation =
  | {
      readonly kind: "explained";
      readonly question: Question;
      readonly listener: ListenerPlan;
      readonly otherListeners: readonly ListenerPlan[];
      readonly servers: readonly Candidate<ServerPlan>[];
      readonly server: ServerPlan;
      /** One for the request as it came, and one more for each rewrite or internal redirect that made a new search. */
      readonly searches: readonly Search[];
      readonly happenings: readonly Happening[];
      readonly result: Result;
    }
  /** The request never gets as far as to be one. */
  | { readonly kind: "unheard"; readonly question: Question; readonly reason: string; readonly help: string }
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] };

/** A search for the location of a path. */
export interface Search {
  readonly path: string;
  readonly locations: readonly Candidate<LocationPlan>[];
}

export type Result =
  | Passing
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      /** Which part of the configuration answers. */
      readonly by: string;
      readonly span: Span | null;
    };

/** Where the configuration comes from; everything of a {@link CompileInput} but the modules. */
export type ConfigurationInput = Omit<CompileInput, "modules">;

/** Leads a request through a configuration as the proxy would, and tells what happens to it. */
export async function explain(question: Question, input: ConfigurationInput): Promise<Explanation> {
  const run = new DryRun();
  const witness: Witness = run;
  const watched = new WitnessedModules(modules, witness);
  const { plan, diagnostics } = await compile({ ...input, modules: watched.modules });
  if (plan === null) return { kind: "refused", diagnostics };
  try {
    return await explainIn(plan, question, run);
  } finally {
    for (const part of plan.stateful) part.retire();
  }
}

async function explainIn(plan: Plan, question: Question, dryRun: DryRun): Promise<Explanation> {
  const candidates = listenersFor(plan, question);
  const [listener, ...otherListeners] = candidates;
  if (listener === undefined) return unheard(question, ...nobodyListens(plan, question));
  if (listener.ssl !== (question.scheme === "https"))
    return unheard(question, ...otherProtocol(listener, question));
  const head = readHead(question);
  if (typeof head === "string")
    return unheard(question, `the request is refused with 400: ${head}`, "a browser would not send it so");
  const run = await dryRun.start(question, head, listener);
  const result = await resultOf(run);
  return {
    kind: "explained",
    question,
    listener,
    otherListeners,
    servers: compareServers(listener, plan.servers, textFromByteString(head.host ?? ""), run.server),
    server: run.server,
    searches: searchesOf(run),
    happenings: run.happenings,
    result,
  };
}

const FOUND_BY_SEARCH: ReadonlySet<string> = new Set([
  "exact",
  "prefix",
  "prefix-no-regex",
  "regex",
  "server",
]);

/** Whether a location is one that a search for a path finds. */
export function isSearched({ match }: LocationPlan): boolean {
  return FOUND_BY_SEARCH.has(match);
}

function searchesOf({ request, server, happenings }: Run): readonly Search[] {
  const paths = happenings.flatMap((each) =>
    each.kind === "location" && isSearched(each.location) ? [each.path] : [],
  );
  // Of a search that ends in a redirect nothing is seen but the path.
  const searched = paths.length === 0 ? [request.path] : paths;
  return searched.map((path) => ({
    path: textFromByteString(path),
    locations: compareLocations(request, server, path),
  }));
}

function unheard(question: Question, reason: string, help: string): Explanation {
  return { kind: "unheard", question, reason, help };
}

/** Listeners of the port, the one that takes the connection first: an address of its own goes before a wildcard. */
function listenersFor({ listeners }: Plan, { host, listenPort }: Question): readonly ListenerPlan[] {
  const onPort = listeners
    .flatMap((listener) => [listener, ...listener.specific.values()])
    .filter(({ address }) => address.kind === "inet" && address.port === listenPort);
  const rank = ({ address }: ListenerPlan): number => {
    if (address.kind === "inet" && address.host === host) return 0;
    return address.kind === "inet" && (address.host === "0.0.0.0" || address.host === "::") ? 1 : 2;
  };
  return [...onPort].sort((a, b) => rank(a) - rank(b));
}

function nobodyListens({ listeners }: Plan, { listenPort }: Question): [string, string] {
  const known = listeners.map(({ key, ssl }) => `${key}${ssl ? " (ssl)" : ""}`).join(", ");
  return [
    `nothing listens on port ${listenPort}: the connection is refused`,
    `the configuration listens on ${known === "" ? "no address" : known}; if something before the proxy maps the port, say which one by --listen-port`,
  ];
}

function otherProtocol({ key, ssl }: ListenerPlan, { isWebSocket }: Question): [string, string] {
  const [secure, plain] = isWebSocket ? ["wss://", "ws://"] : ["https://", "http://"];
  return ssl
    ? [
        `${key} speaks TLS, and ${plain} does not: the answer is 400, "The plain HTTP request was sent to HTTPS port"`,
        `write ${secure} in the page`,
      ]
    : [
        `${key} does not speak TLS: browsers report net::ERR_SSL_PROTOCOL_ERROR`,
        `write ${plain} in the page, or add ssl, ssl_certificate and ssl_certificate_key to this listener`,
      ];
}

function readHead({ head }: Question): NonNullable<RequestHeadParser["head"]> | string {
  const parser = new RequestHeadParser();
  const bytes = Buffer.from(head, "latin1");
  parser.execute(bytes, 0, bytes.length);
  return parser.head ?? parser.error?.message ?? "its head has no end";
}

async function resultOf({ end }: Run): Promise<Result> {
  if (end.kind === "proxy") return explainPassing(end);
  const { location } = end.request;
  return {
    kind: "answered",
    status: end.status,
    headers: end.headers,
    by:
      end.module === null
        ? "the phases before any content: return, rewrite, a redirect or a check"
        : end.module,
    span: location.span,
  };
}
