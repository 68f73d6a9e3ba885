import type { DirectiveKnowledge } from "../../src/config/knowledge.ts";

/** The few directives that tests of the text layer know, and the blocks in which they may stand. */
const contexts: Readonly<Record<string, readonly string[]>> = {
  worker_processes: ["main"],
  error_log: ["main", "http", "server", "location"],
  events: ["main"],
  worker_connections: ["events"],
  http: ["main"],
  upstream: ["http"],
  map: ["http"],
  server: ["http", "upstream"],
  listen: ["server"],
  server_name: ["server"],
  location: ["server", "location"],
  proxy_pass: ["location"],
  proxy_http_version: ["http", "server", "location"],
  proxy_set_header: ["http", "server", "location"],
  proxy_read_timeout: ["http", "server", "location"],
  return: ["server", "location"],
};

export const testKnowledge: Required<DirectiveKnowledge> = {
  isDirectiveName: (name) => Object.hasOwn(contexts, name),
  allowedIn(name, parents) {
    const block = parents.at(-1) ?? "main";
    return block === "map" || (contexts[name]?.includes(block) ?? false);
  },
};
