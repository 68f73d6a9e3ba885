import { assert } from "../base/assert.ts";
import { NEXT, type Outcome } from "../compile/outcome.ts";
import type { Request, RouteState } from "../compile/request.ts";
import { normalizePath } from "../http/uri.ts";
import type { LogLevel } from "../observe/error-log.ts";
import { answer, answerStatus } from "./answer.ts";
import { findLocation } from "./locate.ts";
import { withContext } from "./log-context.ts";
import { pace } from "./paced-downstream.ts";

/*
 * A request goes through these phases in this order. An outcome other than "next" leaves the order: it answers,
 * waits, or goes back to the choice of a location.
 */
const PHASES: readonly ((request: Request) => Outcome)[] = [
  rewriteServer,
  chooseLocation,
  rewriteLocation,
  enterLocation,
  runSteps,
  makeContent,
];
const CHOOSE_LOCATION = PHASES.indexOf(chooseLocation);
const ENTER_LOCATION = PHASES.indexOf(enterLocation);

/** What a Request needs of this folder; handed to its constructor. */
export const routeState: RouteState = {
  resume: continueWith,
  finish: writeLogs,
  logs: (request: Request, level: LogLevel) => request.location.errorLog.logs(level),
  log: writeErrorLog,
};

/** Answers a request whose head has been read. Never throws for anything a client or an upstream does. */
export function handleRequest(request: Request): void {
  const { head } = request;
  if (head.method === "CONNECT" || head.method === "TRACE") {
    request.response.closeAfter = true;
    answerStatus(request, 405);
    return;
  }
  const path = head.rawPath === "*" ? "*" : normalizePath(head.rawPath, request.server.core.merge_slashes);
  if (path === null) {
    request.log("info", "client sent invalid request");
    answerStatus(request, 400);
    return;
  }
  request.path = path;
  advance(request);
}

/** Runs phases until one does not say "next". */
function advance(request: Request): void {
  while (!request.isFinished) {
    const phase = PHASES[request.phase];
    if (phase === undefined) return continueWith(request, { kind: "status", status: 404 });
    const outcome = phase(request);
    if (outcome !== NEXT) return continueWith(request, outcome);
    request.phase++;
  }
}

/** Goes on with a request after a step has said its outcome, at once or later. */
function continueWith(request: Request, outcome: Outcome): void {
  if (request.isFinished) return;
  switch (outcome.kind) {
    case "pending":
      return;
    case "next":
      // Said later, by a step of a phase that keeps count of its steps: the phase goes on with the following one.
      return advance(request);
    case "relocate":
      return goTo(request, CHOOSE_LOCATION);
    case "internal":
      request.path = outcome.path;
      request.pathIsOriginal = false;
      if (outcome.args !== null) request.args = outcome.args;
      request.isInternal = true;
      return goTo(request, CHOOSE_LOCATION);
    case "named": {
      const location = request.server.named.get(outcome.name);
      if (location === undefined) {
        request.log("error", `could not find named location "${outcome.name}"`);
        return continueWith(request, { kind: "status", status: 500 });
      }
      request.isInternal = true;
      request.location = location;
      return goTo(request, CHOOSE_LOCATION + 1);
    }
    case "status":
    case "answer":
    case "redirect": {
      const elsewhere = answer(request, outcome);
      if (elsewhere !== null) continueWith(request, elsewhere);
    }
  }
}

/** Starts again at an earlier phase; ten times at most, since configurations can chase their own tail. */
function goTo(request: Request, phase: number): void {
  if (request.redirectsLeft-- <= 0) {
    request.log("error", `rewrite or internal redirection cycle while redirect to "${request.path}"`);
    request.isErrorPage = true;
    return continueWith(request, { kind: "status", status: 500 });
  }
  request.phase = phase;
  request.step = 0;
  advance(request);
}

function rewriteServer(request: Request): Outcome {
  return request.server.rewrite === null ? NEXT : atServerLevel(request.server.rewrite(request));
}

/** At server level a changed path needs no cycle: the choice of a location is still to come. */
function atServerLevel(outcome: Outcome): Outcome {
  return outcome.kind === "relocate" ? NEXT : outcome;
}

function chooseLocation(request: Request): Outcome {
  request.pathMatchesLocation = true;
  const located = findLocation(request, request.server.locations);
  if (located.kind === "slash") {
    const query = request.args === "" ? "" : `?${request.args}`;
    return { kind: "redirect", status: 301, location: located.path + query };
  }
  request.location = located.location ?? request.server.root;
  if (request.location.core.internal && !request.isInternal) return { kind: "status", status: 404 };
  return NEXT;
}

function rewriteLocation(request: Request): Outcome {
  return request.location.rewrite === null ? NEXT : request.location.rewrite(request);
}

/** What is checked once the location is settled: its methods and the announced size of the body. */
function enterLocation(request: Request): Outcome {
  const except = request.location.limitExcept;
  if (except !== null && !except.methods.includes(request.method)) request.location = except.location;
  const limit = request.location.core.client_max_body_size;
  const length = request.downstream.requestBodyLength;
  if (limit !== 0 && length !== null && length > limit) {
    request.log("error", `client intended to send too large body: ${length} bytes`);
    return { kind: "status", status: 413 };
  }
  if (request.location.core.limit_rate !== null) pace(request);
  return NEXT;
}

function runSteps(request: Request): Outcome {
  const { steps } = request.location;
  while (request.step < steps.length) {
    const outcome = steps[request.step++]?.(request) ?? NEXT;
    if (outcome !== NEXT) return outcome;
  }
  request.step = 0;
  return NEXT;
}

function makeContent(request: Request): Outcome {
  assert(request.phase > ENTER_LOCATION, "content is made in a settled location");
  const { content } = request.location;
  while (request.step < content.length) {
    const outcome = content[request.step++]?.(request) ?? NEXT;
    if (outcome !== NEXT) return outcome;
  }
  return NEXT;
}

function writeLogs(request: Request): void {
  for (const step of request.location.logSteps) step(request);
}

function writeErrorLog(request: Request, level: LogLevel, message: string): void {
  const { errorLog } = request.location;
  if (errorLog.logs(level)) errorLog.write(level, withContext(request, message));
}
