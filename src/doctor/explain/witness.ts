import type { LocationParts, Module, ServerParts } from "../../compile/module.ts";
import type { Step } from "../../compile/outcome.ts";
import type { Request } from "../../compile/request.ts";
import type { Scope } from "../../compile/scope.ts";
import type { Span } from "../../config/position.ts";
import { buildRules, findPass } from "../../modules/proxy/build.ts";
import type { ProxyRules } from "../../proxy/rules.ts";

/** What happens to a request, as those who do it tell. */
export interface Witness {
  /** A rewrite program has run. Its lines stand at `scope`. */
  onRewrite(request: Request, scope: Scope, before: { readonly path: string; readonly args: string }): void;
  /** The request would be passed to an upstream now. */
  onProxy(request: Request, rules: ProxyRules, scope: Scope): void;
  /** A module other than the proxy is asked for the content. */
  onContent(request: Request, module: string): void;
}

/** The modules of the proxy, changed in one point: they tell the witness what they do, and nothing is passed upstream. */
export class WitnessedModules {
  readonly modules: readonly Module[];
  /** The level that a plan's span stands for: of servers and locations. */
  readonly #scopes = new Map<Span, Scope>();
  readonly #witness: Witness;

  constructor(modules: readonly Module[], witness: Witness) {
    this.#witness = witness;
    this.modules = modules.map((module) => this.#watched(module));
  }

  scopeAt(span: Span | null): Scope | null {
    return span === null ? null : (this.#scopes.get(span) ?? null);
  }

  #watched(module: Module): Module {
    const { server, location } = module;
    return {
      ...module,
      ...(server === undefined
        ? {}
        : { server: (scope, check) => this.#serverParts(scope, server(scope, check)) }),
      ...(location === undefined
        ? {}
        : {
            location: (scope, check) => {
              const parts = this.#locationParts(module, scope, location(scope, check));
              if (module.name !== "ngx_http_proxy_module" || parts.content === undefined) return parts;
              const placed = findPass(scope);
              const rules = placed === null ? null : buildRules(scope, placed, check);
              return rules === null ? parts : { ...parts, content: this.#proxyStep(rules, scope) };
            },
          }),
    };
  }

  #serverParts(scope: Scope, parts: ServerParts): ServerParts {
    this.#note(scope);
    return { ...parts, ...(parts.rewrite ? { rewrite: this.#rewriteStep(scope, parts.rewrite) } : {}) };
  }

  #locationParts(module: Module, scope: Scope, parts: LocationParts): LocationParts {
    this.#note(scope);
    const { rewrite, content } = parts;
    return {
      ...parts,
      ...(rewrite ? { rewrite: this.#rewriteStep(scope, rewrite) } : {}),
      ...(content ? { content: this.#contentStep(module.name, content) } : {}),
    };
  }

  #note(scope: Scope): void {
    if (scope.directive !== null) this.#scopes.set(scope.directive.name.span, scope);
  }

  #rewriteStep(scope: Scope, step: Step): Step {
    return (request) => {
      const before = { path: request.path, args: request.args };
      const outcome = step(request);
      this.#witness.onRewrite(request, scope, before);
      return outcome;
    };
  }

  #contentStep(module: string, step: Step): Step {
    return (request) => {
      this.#witness.onContent(request, module);
      return step(request);
    };
  }

  #proxyStep(rules: ProxyRules, scope: Scope): Step {
    return (request) => {
      this.#witness.onProxy(request, rules, scope);
      return { kind: "pending" };
    };
  }
}
