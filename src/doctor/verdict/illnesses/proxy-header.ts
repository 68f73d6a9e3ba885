/** The PROXY protocol's header, which both ends have to expect: one that is wanted and missing, and one that nobody knows. */
import type { Walk } from "../../probe/walk.ts";
import { type Words, words } from "../../words.ts";
import { FIREFOX_CANNOT, unexpectedCode } from "../browsers.ts";
import { answerOf, backendLine, control, found, statusLine, wantsProxyHeader } from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { mend } from "../mends.ts";
import { backendRefusesToo } from "../refusal.ts";
import { unreadBy } from "../unread.ts";

function recogniseUnexpected(subject: Case): Finding | null {
  const { front, backend } = subject;
  const program = unreadBy(front);
  if (program === null || backendRefusesToo(subject)) return null;
  const readsOthers = backend !== null && answerOf(backend) !== null;
  return found(
    readsOthers ? 0.93 : program === "Node" ? 0.85 : 0.7,
    statusLine(front),
    words(
      `It is how ${program} answers what it cannot read as a request, and the request was a right one.`,
      `这是 ${program} 对无法解析的请求的回答，而发送的请求是正确的。`,
    ),
    front.tls === null || front.handshake !== null
      ? words(
          "Every path, HTTP/1.0 and a GET without Upgrade get the very same answer.",
          "任何路径、HTTP/1.0、不带 Upgrade 的 GET 都得到完全相同的回答。",
        )
      : words(
          "It answers TLS in plain text, and the same handshake without TLS with 400.",
          "它用明文回答 TLS，而不带 TLS 的同一握手得到 400。",
        ),
    backendLine(backend),
  );
}

function recogniseMissing({ front, backend }: Case): Finding | null {
  if (wantsProxyHeader(front)) return found(0.98, cutLine(front), headerLine(front), backendLine(backend));
  // The same between proxy and backend.
  const status = answerOf(front)?.status;
  if (backend === null || !wantsProxyHeader(backend) || (status !== 502 && status !== 503)) return null;
  return found(0.96, statusLine(front), backendLine(backend), headerLine(backend));
}

function cutLine({ tls, handshake }: Walk): Words {
  const outcome = handshake?.outcome;
  const how = outcome?.kind === "ended" ? outcome.ending : (outcome?.kind ?? tls?.outcome ?? "ended");
  return words(
    `Without the header the connection gets no answer (${how}).`,
    `没有该头时连接得不到回答（${how}）。`,
  );
}

function headerLine(walk: Walk): Words | null {
  const outcome = control(walk, "proxy-header")?.outcome;
  if (outcome?.kind !== "answer") return null;
  const { status } = outcome.answer;
  return words(
    `With "PROXY UNKNOWN" before it the same handshake is answered ${status}.`,
    `在前面加上 “PROXY UNKNOWN” 后，同样的握手得到 ${status}。`,
  );
}

export const PROXY_HEADER_ILLNESSES: readonly Illness[] = [
  {
    id: "proxy-header-missing",
    severity: "sick",
    title: words(
      "The server wants a PROXY protocol header first, and gets none.",
      "服务器要求连接以 PROXY 协议头开始，但没有收到。",
    ),
    explanation: words(
      "Such a port is for a balancer, which begins every connection with a line that says where the client is. Who comes without it, as browsers do, is cut off at once: either the port is not meant for them, or the balancer in front does not send the header.",
      "这样的端口是给负载均衡用的：它在每个连接开头写明客户端地址。没有该头的连接（例如浏览器）会立刻被切断：要么该端口不是给它们用的，要么前面的负载均衡没有发送该头。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_CONNECTION_RESET",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 502",
        "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_CONNECTION_CLOSED",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: The network connection was lost."],
    },
    mends: [
      mend(
        "nginx",
        "Take proxy_protocol away where nothing in front sends the header.",
        "前面没有设备发送该头时，去掉 proxy_protocol。",
        "listen {port};   # without proxy_protocol",
      ),
      mend(
        "haproxy",
        "The same for accept-proxy; and where HAProxy is what stands in front, have it send the header.",
        "去掉 accept-proxy；如果前面就是 HAProxy，则让它发送该头。",
        "bind :{port}                  # without accept-proxy\nserver a BACKEND send-proxy   # in front",
      ),
      mend(
        "aws-alb",
        "A network load balancer sends the header where its target group says so; an application load balancer never does.",
        "网络负载均衡器（NLB）在目标组打开该选项时才发送；ALB 从不发送。",
        "aws elbv2 modify-target-group-attributes --target-group-arn ARN \\\n    --attributes Key=proxy_protocol_v2.enabled,Value=true",
      ),
    ],
    confirm: words(
      "curl -i --haproxy-protocol {http}://{authority}/ gets an answer, and without the option none.",
      "curl -i --haproxy-protocol {http}://{authority}/ 有回答，不加该选项则没有。",
    ),
    recognise: recogniseMissing,
  },
  {
    id: "proxy-header-unexpected",
    severity: "sick",
    title: words(
      "The server cannot read any request (400): most likely a PROXY protocol header comes first, which it does not know.",
      "服务器无法解析任何请求（400）：多半是前面带了它不认识的 PROXY 协议头。",
    ),
    explanation: words(
      "A balancer that is told to send the PROXY header puts a line of its own before each request. A program that does not expect it takes that for the request, and answers 400 to everything, pages included; one that expects TLS does so, or hangs up. Whatever else a hop writes before the request does the same.",
      "打开了 PROXY 头的负载均衡会在每个请求前加一行。不认识它的程序把这一行当作请求，于是对一切（包括普通页面）回答 400；等待 TLS 的程序也会如此，或直接断开。途中设备在请求前写入的其他内容也会如此。",
    ),
    browsers: {
      ...unexpectedCode(400),
      chrome: [
        ...unexpectedCode(400).chrome,
        "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_SSL_PROTOCOL_ERROR",
      ],
    },
    mends: [
      mend(
        "haproxy",
        "Take send-proxy, send-proxy-v2 and the like off the server line; a header of HTTP tells the client's address.",
        "去掉 server 行的 send-proxy、send-proxy-v2 等；客户端地址用 HTTP 头传递。",
        "server a BACKEND   # without send-proxy\noption forwardfor",
      ),
      mend(
        "nginx",
        "If nginx is what answers 400, let it expect the header. If nginx sends it (stream), take proxy_protocol on away there.",
        "如果回答 400 的是 nginx：让它接受该头。如果发送者是 nginx（stream）：去掉那里的 proxy_protocol on。",
        "listen {port} proxy_protocol;\nreal_ip_header proxy_protocol;\nset_real_ip_from 10.0.0.0/8;   # the balancer",
      ),
      mend(
        "caddy",
        "Take proxy_protocol out of the transport of reverse_proxy.",
        "去掉 reverse_proxy 的 transport 里的 proxy_protocol。",
        "reverse_proxy BACKEND",
      ),
      mend(
        "aws-alb",
        "A network load balancer has it in the attributes of the target group.",
        "网络负载均衡器（NLB）：该选项在目标组属性里。",
        "aws elbv2 modify-target-group-attributes --target-group-arn ARN \\\n    --attributes Key=proxy_protocol_v2.enabled,Value=false",
      ),
      mend(
        "application",
        "Node's http and most frameworks do not know the header: it is the balancer that has to leave it out, or a proxy in between that takes it off.",
        "Node 的 http 和多数框架不认识该头：应由负载均衡不发送，或由中间的代理去掉。",
      ),
    ],
    confirm: words(
      "Straight to the application it opens: wsgate doctor {url} --backend ws://BACKEND{path}. The first bytes that it gets on a connection (tcpdump -A) are PROXY.",
      "直连应用能打开：wsgate doctor {url} --backend ws://BACKEND{path}。用 tcpdump -A 看，它在连接上收到的最先几个字节是 PROXY。",
    ),
    recognise: recogniseUnexpected,
  },
];
