/** Which server takes a host, and what nginx has room for. */
import type { Configuration, Server } from "../configuration.ts";
import { isWebSocket } from "../evidence.ts";
import { own, ownAll } from "../levels.ts";
import type { Rule } from "../rule.ts";
import { UPGRADE_LINES_DEEPER } from "./snippets.ts";

const serverNameConflict: Rule = {
  name: "server-name-conflict",
  severity: "warning",
  summary: "two servers claim a name at one address, and the second is never asked",
  why: 'nginx keeps the first and says so in a warning that is easy to miss (conflicting server name "…" on …, ignored): the locations of the second, the socket\'s among them, answer nobody.',
  check({ servers }, report) {
    for (const [i, server] of servers.entries()) {
      for (const name of server.names) {
        const rival = servers
          .slice(0, i)
          .find((other) => other.names.includes(name) && sharesAddress(other, server));
        if (rival === undefined) continue;
        const directive = own(server.level, "server_name") ?? server.level.directive;
        const rivalDirective = own(rival.level, "server_name") ?? rival.level.directive;
        if (directive === null) continue;
        report({
          span: directive.span,
          message:
            name === ""
              ? "another server without a name takes its requests"
              : `another server takes the requests for ${name}`,
          notes: rivalDirective === null ? [] : [{ message: "this one", span: rivalDirective.span }],
          help: "put the locations of both into one server",
        });
        break;
      }
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    server_name chat.example;
    root html;
}
server {
    listen 80;
    server_name chat.example; # <--
    location /ws {
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
      good: `
server {
    listen 80;
    server_name chat.example;
    root html;
    location /ws {
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

/** All addresses that both listen on; a server is asked by address first. */
function sharesAddress(a: Server, b: Server): boolean {
  return b.listens.every(({ address }) => a.listens.some((other) => other.address === address));
}

const serverUnreachable: Rule = {
  name: "server-unreachable",
  severity: "warning",
  summary: "a server without a name stands behind another one that is the default",
  why: "A Host that no server_name matches goes to the default server of the address, which is the first unless one says default_server. A server without a name is then asked by nobody: its WebSockets end at the other one, with 404 or a page.",
  check({ servers }, report) {
    for (const server of servers) {
      if (server.names.some((name) => name !== "") || server.level.directive === null) continue;
      const hasOwnAddress = server.listens.some((listen) => defaultOf(servers, listen.address) === server);
      const [first] = server.listens;
      const rival = first === undefined ? undefined : defaultOf(servers, first.address);
      // Two without a name are server-name-conflict's.
      if (hasOwnAddress || rival === undefined || rival.names.includes("")) continue;
      if (!server.locations.some(isWebSocket)) continue;
      report({
        span: server.level.directive.span,
        message: "requests for any host go to another server",
        notes:
          rival.level.directive === null
            ? []
            : [{ message: "this one is the default", span: rival.level.directive.span }],
        help: "give it a server_name, or say default_server at its listen",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    server_name www.example;
    root html;
}
server { # <--
    listen 80;
    location /ws {
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
      good: `
server {
    listen 80;
    server_name www.example;
    root html;
}
server {
    listen 80;
    server_name chat.example;
    location /ws {
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

/** The server that takes what no name matches at an address. */
function defaultOf(servers: readonly Server[], address: string): Server | undefined {
  const here = servers.filter(({ listens }) => listens.some((listen) => listen.address === address));
  return (
    here.find(({ listens }) => listens.some((listen) => listen.address === address && listen.isDefault)) ??
    here[0]
  );
}

/** Whether the file is a whole one, with WebSockets in it. */
function carriesWebSockets({ isFragment, locations }: Configuration): boolean {
  return (
    !isFragment &&
    locations.some((location) => isWebSocket(location) && location.evidence.strength === "certain")
  );
}

const workerConnectionsLow: Rule = {
  name: "worker-connections-low",
  severity: "info",
  summary: "a worker has room for few tunnels",
  why: 'Each tunnel takes two connections of a worker, one on each side, for as long as it lives. nginx\'s default is 512, which is 256 people; the next ones are refused with "worker_connections are not enough" in the error log.',
  only: "nginx",
  check(configuration, report) {
    if (!carriesWebSockets(configuration)) return;
    const events = configuration.levels.find(({ kind }) => kind === "events");
    if (events === undefined || events.directive === null) return;
    const directive = own(events, "worker_connections");
    const connections = Number(directive?.args[0]?.text ?? "512");
    if (connections >= 1024 || !Number.isInteger(connections)) return;
    report({
      span: (directive ?? events.directive).span,
      message: `a worker has room for ${Math.floor(connections / 2)} tunnels`,
      help: "write: worker_connections 8192; and a worker_rlimit_nofile that is above it",
    });
  },
  examples: [
    {
      inside: "main",
      bad: `
events {
    worker_connections 256; # <--
}
http {
    server {
        listen 80;
        location /ws {
            proxy_pass http://127.0.0.1:3000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade    $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}`,
      good: `
worker_rlimit_nofile 16384;
events {
    worker_connections 8192;
}
http {
    server {
        listen 80;
        location /ws {
            proxy_pass http://127.0.0.1:3000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade    $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}`,
    },
  ],
};

const filesTooFew: Rule = {
  name: "files-too-few",
  severity: "warning",
  summary: "a worker may open fewer files than it may have connections",
  why: 'Each connection is a file descriptor. When they run out, nginx logs "accept4() failed (24: Too many open files)" and takes no more WebSockets, although worker_connections has room.',
  only: "nginx",
  check({ levels, main }, report) {
    const limit = own(main, "worker_rlimit_nofile");
    const connections = levels.flatMap((level) => ownAll(level, "worker_connections"))[0];
    if (limit === null || connections === undefined) return;
    const [files, wanted] = [Number(limit.args[0]?.text), Number(connections.args[0]?.text)];
    if (!(files < wanted)) return;
    report({
      span: limit.span,
      message: `${files} files do not do for ${wanted} connections`,
      notes: [{ message: "the connections", span: connections.span }],
      help: `write a number above ${wanted}, such as ${wanted * 2}`,
    });
  },
  examples: [
    {
      inside: "main",
      bad: `
worker_rlimit_nofile 1024; # <--
events {
    worker_connections 8192;
}`,
      good: `
worker_rlimit_nofile 16384;
events {
    worker_connections 8192;
}`,
    },
  ],
};

const shutdownTimeoutMissing: Rule = {
  name: "shutdown-timeout-missing",
  severity: "info",
  summary: "workers of former configurations live as long as their last tunnel",
  why: "With each reload nginx starts new workers, and the old ones stay until their last WebSocket has ended: many reloads, and memory fills with workers. worker_shutdown_timeout ends them, and with them their tunnels, so that clients have to reconnect.",
  only: "nginx",
  check(configuration, report) {
    if (!carriesWebSockets(configuration) || own(configuration.main, "worker_shutdown_timeout") !== null)
      return;
    const place = own(configuration.main, "worker_processes") ?? own(configuration.main, "events");
    if (place === null) return;
    report({
      span: place.span,
      message: "after a reload old workers stay until their last tunnel has ended",
      help: "if you reload often, add at the top: worker_shutdown_timeout 1h;",
    });
  },
  examples: [
    {
      inside: "main",
      bad: `
worker_processes auto; # <--
events {}
http {
    server {
        listen 80;
        location /ws {
            proxy_pass http://127.0.0.1:3000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade    $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}`,
      good: `
worker_processes auto;
worker_shutdown_timeout 1h;
events {}
http {
    server {
        listen 80;
        location /ws {
            proxy_pass http://127.0.0.1:3000;
            proxy_http_version 1.1;
            proxy_set_header Upgrade    $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}`,
    },
  ],
};

export const serverRules: readonly Rule[] = [
  serverNameConflict,
  serverUnreachable,
  workerConnectionsLow,
  filesTooFew,
  shutdownTimeoutMissing,
];
