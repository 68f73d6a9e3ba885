/** http-proxy-3 as its README shows it, with a keep-alive agent, on one plain and one TLS port. */
import { constants } from "node:crypto";
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import { createProxyServer } from "http-proxy-3";

const [plainPort, tlsPort, backendPort, certificateFile = "", keyFile = ""] = process.argv.slice(2);

const proxy = createProxyServer({
  target: `http://127.0.0.1:${backendPort}`,
  agent: new http.Agent({ keepAlive: true }),
});
proxy.on("error", (_error, _request, response) => {
  if ("writeHead" in response) response.writeHead(502).end();
  else response.destroy();
});

const plain = http.createServer();
const secure = https.createServer({
  cert: readFileSync(certificateFile),
  key: readFileSync(keyFile),
  secureOptions: constants.SSL_OP_NO_TICKET,
});
for (const server of [plain, secure]) {
  server.on("request", (request, response) => proxy.web(request, response));
  server.on("upgrade", (request, socket: Socket, head) => {
    socket.on("error", () => socket.destroy());
    proxy.ws(request, socket, head);
  });
  server.on("clientError", (_error, socket) => socket.destroy());
}
plain.listen({ port: Number(plainPort), host: "127.0.0.1", backlog: 4096 });
secure.listen({ port: Number(tlsPort), host: "127.0.0.1", backlog: 4096 });
