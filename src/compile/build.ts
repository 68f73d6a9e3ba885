import type { HeadFilter, LogStep, Step } from "./outcome.ts";
import { assert } from "../base/assert.ts";
import { byteStringFromText } from "../base/bytes.ts";
import type { Compiler } from "./compiler.ts";
import { warnOfHandlers } from "./handlers.ts";
import { buildListeners, describeName, type BuiltServer } from "./listeners.ts";
import { buildLocationTree, type BuiltLocation } from "./locations.ts";
import type { LocationParts, Module, ServerParts } from "./module.ts";
import type { LocationMatch, LocationPlan, LocationTree, MainPlan, Plan, ServerPlan } from "./plan.ts";
import type { Scope } from "./scope.ts";

/** Levels whose directives have been checked -> the frozen plan. Null where a module reported errors on the way. */
export function build(file: string, modules: readonly Module[], compiler: Compiler): Plan | null {
  const main: Partial<MainPlan> = Object.assign(
    {},
    ...modules.map((module) => module.main?.(compiler.main, compiler)),
  );
  const servers: BuiltServer[] = [];
  for (const http of compiler.main.blocks("http")) {
    for (const module of modules) module.http?.(http, compiler);
    for (const upstream of http.blocks("upstream")) {
      for (const module of modules) module.upstream?.(upstream, compiler);
    }
    for (const server of http.blocks("server")) {
      const built = buildServer(server, modules, compiler);
      if (built !== null) servers.push(built);
    }
  }
  const listeners = buildListeners(servers, compiler);
  if (compiler.hasErrors) return null;
  assert(isComplete(main), "the core modules give all of the main settings");
  return Object.freeze({
    file,
    main,
    listeners,
    servers: servers.map((server) => server.plan),
    stateful: compiler.statefulParts,
    logFiles: [...compiler.logFiles],
    withoutEffect: compiler.withoutEffect,
    warnings: compiler.diagnostics,
  });
}

function isComplete(main: Partial<MainPlan>): main is MainPlan {
  return main.error_log !== undefined && main.worker_connections !== undefined;
}

function buildServer(scope: Scope, modules: readonly Module[], compiler: Compiler): BuiltServer | null {
  compiler.scope = scope;
  const parts: ServerParts = Object.assign({}, ...modules.map((module) => module.server?.(scope, compiler)));
  const gathered: Gathered = { named: new Map(), passesWebSockets: false };
  const root = buildLocation(scope, gathered, modules, compiler);
  if (root === null || parts.core === undefined || parts.http2 === undefined) return null;
  const names = parts.names ?? [];
  const plan: ServerPlan = {
    name: byteStringFromText(parts.name ?? ""),
    names: names.map(describeName),
    core: parts.core,
    tls: parts.tls ?? null,
    http2: parts.http2,
    passesWebSockets: gathered.passesWebSockets,
    rewrite: parts.rewrite ?? null,
    root,
    locations: root.locations,
    named: gathered.named,
    span: scope.directive?.name.span ?? null,
  };
  return { plan, listens: parts.listens ?? [], names, tlsFailed: parts.tls === null };
}

/** What a server is told by its locations, however deep they stand. */
interface Gathered {
  readonly named: Map<string, LocationPlan>;
  passesWebSockets: boolean;
}

/** The plan of a location, of an `if` or `limit_except` in one, or of a server's own level. */
function buildLocation(
  scope: Scope,
  gathered: Gathered,
  modules: readonly Module[],
  compiler: Compiler,
): LocationPlan | null {
  const inner = buildInnerLocations(scope, gathered, modules, compiler);
  const exceptScope = scope.blocks("limit_except")[0];
  const except = exceptScope === undefined ? null : buildLocation(exceptScope, gathered, modules, compiler);

  compiler.scope = scope;
  warnOfHandlers(scope, compiler);
  const parts = modules.map((module) => module.location?.(scope, compiler) ?? {});
  const core = lastOf(parts, "core");
  const errorLog = lastOf(parts, "errorLog");
  if (core === undefined || errorLog === undefined) return null;
  gathered.passesWebSockets ||= parts.some((part) => part.passesWebSockets === true);
  const head = scope.head;
  const plan: LocationPlan = {
    name: locationName(scope),
    path: head.kind === "location" ? head.path : "",
    match: head.kind === "location" ? head.match : matchOfContext(scope),
    redirectsToSlash: parts.some((part) => part.redirectsToSlash === true),
    locations: inner,
    limitExcept:
      except !== null && exceptScope?.head.kind === "limit_except"
        ? { methods: exceptScope.head.methods, location: except }
        : null,
    core,
    rewrite: lastOf(parts, "rewrite") ?? null,
    steps: [
      ...present<Step>(parts.map((part) => part.preaccess)),
      ...present<Step>(parts.map((part) => part.access)),
      ...present<Step>(parts.map((part) => part.precontent)),
    ],
    content: present<Step>(parts.map((part) => part.content)),
    headFilters: present<HeadFilter>(parts.map((part) => part.headFilter)),
    logSteps: present<LogStep>(parts.map((part) => part.log)),
    errorLog,
    span: scope.directive?.name.span ?? null,
  };
  compiler.setLocation(scope, Object.freeze(plan));
  return plan;
}

function buildInnerLocations(
  scope: Scope,
  gathered: Gathered,
  modules: readonly Module[],
  compiler: Compiler,
): LocationTree {
  for (const condition of scope.blocks("if in location"))
    buildLocation(condition, gathered, modules, compiler);
  const built: BuiltLocation[] = [];
  for (const child of scope.blocks("location")) {
    const plan = buildLocation(child, gathered, modules, compiler);
    if (plan === null) continue;
    built.push({ scope: child, plan });
    if (plan.match !== "named") continue;
    if (gathered.named.has(plan.path)) {
      compiler.error(plan.span, `duplicate location "${plan.path}"`, { code: "duplicate-location" });
    }
    gathered.named.set(plan.path, plan);
  }
  return buildLocationTree(scope, built, compiler);
}

/** Of a part that one module gives: what it gave. */
function lastOf<Name extends keyof LocationParts>(
  parts: readonly LocationParts[],
  name: Name,
): LocationParts[Name] | undefined {
  return parts.findLast((part) => part[name] !== undefined && part[name] !== null)?.[name];
}

function present<T>(values: readonly (T | null | undefined)[]): readonly T[] {
  return values.filter((value): value is T => value !== null && value !== undefined);
}

function matchOfContext(scope: Scope): LocationMatch {
  switch (scope.context) {
    case "server":
      return "server";
    case "if in location":
      return "if";
    case "limit_except":
      return "limit_except";
    default:
      // The head of a location was wrong, and has been reported.
      assert(scope.context === "location", `no location is built for ${scope.context}`);
      return "prefix";
  }
}

function locationName(scope: Scope): string {
  return (scope.directive?.args ?? []).map((word) => word.text).join(" ");
}
