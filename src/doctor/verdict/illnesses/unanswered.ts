/** The handshake gets no answer, or none that is HTTP. */
import type { Walk } from "../../probe/walk.ts";
import { verbatim, type Words, words } from "../../words.ts";
import { FIREFOX_CANNOT, handshakeError } from "../browsers.ts";
import { backendLine, control, found, plainIsAnswered, wantsProxyHeader } from "../facts.ts";
import type { Illness } from "../illness.ts";
import { mend, PASS_THE_UPGRADE } from "../mends.ts";

function kindOf(walk: Walk): string | null {
  return walk.handshake?.outcome.kind ?? null;
}

const PLAIN_ANSWERED: Words = words(
  "The same request without Upgrade is answered: the way is open, and the Upgrade is what it stops.",
  "去掉 Upgrade 的同一请求有回答：路是通的，被拦下的是 Upgrade。",
);

/** What the disguised handshake of --layer4 adds. */
function opaqueLine({ opaque }: Walk): Words | null {
  if (opaque === null) return null;
  const { outcome } = opaque.disguised;
  if (outcome.kind === "answer")
    return words(
      `As many bytes without the word Upgrade are answered (${outcome.answer.status}): something on the way reads HTTP (layer 7).`,
      `同样长度、不含 Upgrade 的字节有回答（${outcome.answer.status}）：途中有设备在解析 HTTP（第 7 层）。`,
    );
  return words(
    `As many bytes without the word Upgrade fare no better (${outcome.kind}): it is the connection that breaks (layer 4).`,
    `同样长度、不含 Upgrade 的字节也一样（${outcome.kind}）：断的是连接本身（第 4 层）。`,
  );
}

export const UNANSWERED_ILLNESSES: readonly Illness[] = [
  {
    id: "upgrade-swallowed",
    severity: "sick",
    title: words(
      "The handshake gets no answer, while ordinary requests do: a hop swallows the Upgrade or its answer.",
      "握手没有回答，而普通请求有：途中某一跳吞掉了 Upgrade 或它的回答。",
    ),
    explanation: words(
      "A proxy that buffers waits for a body that a 101 never has, or a device that does not know WebSockets drops what follows.",
      "会缓冲的代理在等 101 永远不会有的正文，或不认识 WebSocket 的设备丢弃了后续内容。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: WebSocket opening handshake timed out",
        "WebSocket connection to '{url}' failed: ",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: The request timed out."],
    },
    mends: [
      ...PASS_THE_UPGRADE,
      mend(
        "network",
        "Use wss:// so that devices on the way cannot look inside; or let the balancer work on layer 4 (TCP).",
        "使用 wss://，让途中设备无法查看内容；或让负载均衡工作在第 4 层（TCP）。",
      ),
    ],
    confirm: words(
      "tcpdump on the server: does the 101 leave it? wsgate doctor {url} --layer4",
      "在服务器上 tcpdump：101 发出了吗？wsgate doctor {url} --layer4",
    ),
    recognise: ({ front, backend }) =>
      kindOf(front) === "timeout" && plainIsAnswered(front)
        ? found(0.93, PLAIN_ANSWERED, opaqueLine(front), backendLine(backend))
        : null,
  },
  {
    id: "server-silent",
    severity: "sick",
    title: words(
      "The port takes the connection, and nothing answers: neither the handshake nor an ordinary request.",
      "端口接受了连接，但没有任何回答：握手和普通请求都没有。",
    ),
    explanation: words(
      "The program hangs, it is no HTTP server (it may wait for a greeting of its own protocol), or what listens hands on to something that is dead.",
      "程序卡住、不是 HTTP 服务（在等自己协议的问候），或监听者把连接转给了已死的后端。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: WebSocket opening handshake timed out",
        "WebSocket connection to '{url}' failed: ",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: The request timed out."],
    },
    mends: [
      mend(
        "application",
        "Is its event loop blocked, are its threads all taken? Restart it, and look.",
        "事件循环是否阻塞、线程是否用尽？重启并检查。",
      ),
    ],
    confirm: words("curl -m 5 -i {http}://{authority}/", "curl -m 5 -i {http}://{authority}/"),
    recognise: ({ front, backend }) => {
      if (kindOf(front) !== "timeout" || plainIsAnswered(front) || wantsProxyHeader(front)) return null;
      if (control(front, "other-scheme")?.outcome.kind === "answer") return null;
      return found(0.9, verbatim("timeout"), opaqueLine(front), backendLine(backend));
    },
  },
  {
    id: "upgrade-blocked",
    severity: "sick",
    title: words(
      "Something on the way ends the connection when it sees the Upgrade; ordinary requests pass (layer 7).",
      "途中有设备一看到 Upgrade 就断开连接；普通请求能通过（第 7 层）。",
    ),
    explanation: words(
      "A firewall, a virus scanner or a balancer that reads HTTP does not let WebSockets through; or the server itself drops what it does not route (a Node server without an upgrade listener does).",
      "解析 HTTP 的防火墙、杀毒软件或负载均衡不放行 WebSocket；或服务器自己断开（没有 upgrade 监听器的 Node 服务就是这样）。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_CONNECTION_RESET",
        "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: The network connection was lost."],
    },
    mends: [
      mend(
        "network",
        "Use wss:// on port 443, so that the device cannot look inside; or allow WebSockets on it; or put the balancer on layer 4 (TCP).",
        "使用 443 端口的 wss://，设备便无法查看内容；或在设备上放行 WebSocket；或改用第 4 层（TCP）负载均衡。",
      ),
      mend(
        "aws-alb",
        "A classic load balancer does not pass Upgrade in HTTP mode: use an ALB, or a TCP listener.",
        "经典负载均衡器的 HTTP 模式不转发 Upgrade：改用 ALB 或 TCP 监听器。",
      ),
      mend(
        "application",
        "If it is the application that hangs up: it has no WebSocket on this path.",
        "如果是应用挂断：该路径上没有 WebSocket。",
      ),
    ],
    confirm: words(
      "wsgate doctor {url} --layer4, and once from inside the network.",
      "wsgate doctor {url} --layer4，并从内网再试一次。",
    ),
    recognise: ({ front, backend }) => {
      const outcome = front.handshake?.outcome;
      if (outcome?.kind !== "ended" || !plainIsAnswered(front)) return null;
      return found(
        0.93,
        words(
          `The handshake's connection ended (${outcome.ending}).`,
          `握手的连接被结束（${outcome.ending}）。`,
        ),
        PLAIN_ANSWERED,
        opaqueLine(front),
        backendLine(backend),
      );
    },
  },
  {
    id: "connections-cut",
    severity: "sick",
    title: words(
      "Every connection is cut, with Upgrade or without: it is not about WebSockets (layer 4).",
      "无论有没有 Upgrade，每个连接都被切断：与 WebSocket 无关（第 4 层）。",
    ),
    explanation: words(
      "The port takes connections and ends them: a TCP balancer without a live backend, a server that wants another protocol, a limit on connections, a firewall that resets.",
      "端口接受连接后又断开：TCP 负载均衡没有存活后端、服务器要求别的协议、连接数限制，或防火墙重置。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_CONNECTION_RESET",
        "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: The network connection was lost."],
    },
    mends: [
      mend(
        "network",
        "Look at what listens there, and at the health of what stands behind it.",
        "检查该端口上的程序以及其后端的健康状态。",
      ),
    ],
    confirm: words("curl -v {http}://{authority}/ ends as well.", "curl -v {http}://{authority}/ 也会中断。"),
    recognise: ({ front, backend }) => {
      const outcome = front.handshake?.outcome;
      const isCut = outcome?.kind === "ended" || outcome?.kind === "unconnected";
      if (!isCut || plainIsAnswered(front) || wantsProxyHeader(front)) return null;
      if (control(front, "other-scheme")?.outcome.kind === "answer") return null;
      const how = outcome.kind === "unconnected" ? outcome.code : outcome.detail || outcome.ending;
      // What TLS says by itself has names of its own.
      const isSaid = outcome.kind === "ended" && outcome.detail !== "";
      return found(isSaid ? 0.5 : 0.85, verbatim(how), opaqueLine(front), backendLine(backend));
    },
  },
  {
    id: "not-http",
    severity: "sick",
    title: words("What answers on port {port} is no HTTP.", "{port} 端口的回答不是 HTTP。"),
    explanation: words(
      "Another protocol lives there, or a hop garbles the answer.",
      "那里是别的协议，或途中的设备破坏了回答。",
    ),
    browsers: handshakeError("net::ERR_INVALID_HTTP_RESPONSE", "The network connection was lost."),
    mends: [
      mend(
        "network",
        "Compare the port with the one on which the WebSocket is served.",
        "核对端口是否为 WebSocket 服务的端口。",
      ),
    ],
    confirm: words("nc {host} {port}", "nc {host} {port}"),
    recognise: ({ front }) => {
      const outcome = front.handshake?.outcome;
      if (outcome?.kind !== "not-http" || /^[\x15\x16]\x03/.test(outcome.bytes)) return null;
      return found(0.93, verbatim(outcome.rule), verbatim(JSON.stringify(outcome.bytes.slice(0, 60))));
    },
  },
];
