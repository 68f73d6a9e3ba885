import type { Module } from "../compile/module.ts";
import { charsetModule } from "./charset.ts";
import { coreModule } from "./core.ts";
import { eventsModule } from "./events.ts";
import { http2Module } from "./http2.ts";
import { headersModule } from "./headers/module.ts";
import { httpCoreModule } from "./http-core/module.ts";
import { logModule } from "./log/module.ts";
import { mapModule } from "./map.ts";
import { proxyModule } from "./proxy/module.ts";
import { resolverModule } from "./resolver.ts";
import { rewriteModule } from "./rewrite/module.ts";
import { sslModule } from "./ssl/module.ts";
import { stubStatusModule } from "./stub-status.ts";
import { staticModule } from "./static/module.ts";
import { upstreamModule } from "./upstream/module.ts";
import { websocketModule } from "./websocket/module.ts";
import { websocketStatusModule } from "./websocket-status.ts";

/**
 * All modules, in execution order: within one phase, the steps of an earlier module run before those of a later one.
 */
export const modules: readonly Module[] = [
  coreModule,
  eventsModule,
  httpCoreModule,
  mapModule,
  rewriteModule,
  sslModule,
  http2Module,
  charsetModule,
  headersModule,
  logModule,
  stubStatusModule,
  websocketStatusModule,
  upstreamModule,
  // Both before proxy, which goes by what they say about names and about upgrades.
  resolverModule,
  websocketModule,
  proxyModule,
  // Last: files are what is left when no other module answers.
  staticModule,
];
