/** Statuses that say by themselves what is wrong. */
import { PLAIN_ON_TLS_BODY } from "../../probe/plain-on-tls.ts";
import { statusOf } from "../../probe/handshake.ts";
import { FIREFOX_CANNOT, unexpectedCode } from "../browsers.ts";
import {
  alikeLine,
  answerMs,
  answerOf,
  backendLine,
  bodyOf,
  found,
  handshakeOpens,
  portTakesTls,
  statusLine,
  unlikeLine,
} from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { mend } from "../mends.ts";
import { bodyLine, ownPageLine } from "../pages.ts";
import { type Words, words } from "../../words.ts";

/** Nobody sets a shorter ProxyTimeout than a second. */
const WAITED_MS_MIN = 900;

/** A status that says what it means. */
function recogniseStatus(statuses: readonly number[], certainty: number): (subject: Case) => Finding | null {
  return (subject) => {
    const { front } = subject;
    const answer = answerOf(front);
    if (answer === null || !statuses.includes(answer.status)) return null;
    return found(
      certainty,
      statusLine(front),
      ownPageLine(front),
      bodyLine(bodyOf(front)),
      alikeLine(front) ?? unlikeLine(front),
      backendLine(subject.backend),
    );
  };
}

/** Who answers says that it wants TLS, and it is not the port that was asked. */
function recogniseTlsBackend({ front, backend }: Case): Finding | null {
  const said = PLAIN_ON_TLS_BODY.exec(bodyOf(front))?.[0];
  const isWss = front.url.target?.scheme === "wss";
  if (said !== undefined && (isWss || !portTakesTls(front)))
    return found(
      0.97,
      statusLine(front),
      words(`The answer says: "${said}".`, `回答写着：“${said}”。`),
      isWss
        ? words("The proxy itself was asked by TLS.", "代理本身是通过 TLS 访问的。")
        : words("The port itself does not take TLS.", "该端口本身不接受 TLS。"),
      backendLine(backend),
    );
  const isBackendTls = backend?.url.target?.scheme === "wss" && handshakeOpens(backend);
  return isBackendTls && answerOf(front)?.status === 502
    ? found(0.96, statusLine(front), backendLine(backend))
    : null;
}

/** A browser's first handshake passes, and those right behind it do not. */
function recogniseLimit({ front }: Case): Finding | null {
  if (!handshakeOpens(front) || front.conversation !== null) return null;
  const answers = front.controls.map(({ exchange }) => statusOf(exchange));
  const refused = answers.find((status) => status === 429 || status === 503);
  if (refused === undefined || answers.includes(101)) return null;
  return found(
    0.9,
    words(
      `The first handshake opened a WebSocket, and the next ones, right behind it, were answered ${refused}.`,
      `第一次握手打开了 WebSocket，紧接着的几次得到 ${refused}。`,
    ),
  );
}

export const STATUS_ILLNESSES: readonly Illness[] = [
  {
    id: "authentication-required",
    severity: "sick",
    title: words("The server wants credentials first.", "服务器要求先认证。"),
    explanation: words(
      "A page cannot set headers on a WebSocket; what a browser sends by itself are cookies and what it has stored for basic authentication.",
      "页面不能为 WebSocket 设置头；浏览器会自动发送的只有 cookie 和已保存的 basic 认证。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: HTTP Authentication failed; no valid credentials available",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: Unexpected response code: 401"],
    },
    mends: [
      mend(
        "client",
        "Send the session's cookie, or a short-lived ticket in the query or as the first message.",
        "使用会话 cookie，或在查询串、第一条消息里带短期票据。",
      ),
      mend(
        "nginx",
        "Let the WebSocket's location do without, where the application checks by itself.",
        "如果应用自己会检查：让 WebSocket 的 location 不做认证。",
        "location {path} {\n    auth_basic off;\n    auth_request off;\n}",
      ),
    ],
    confirm: words('wsgate doctor {url} --header "Cookie: …"', 'wsgate doctor {url} --header "Cookie: …"'),
    recognise: recogniseStatus([401, 407], 0.97),
  },
  {
    id: "forbidden",
    severity: "sick",
    title: words("The server forbids it (403).", "服务器禁止访问（403）。"),
    explanation: words(
      "An access rule, a firewall for web applications, a check of the origin or of a token says no.",
      "访问规则、Web 应用防火墙、来源检查或令牌检查拒绝了请求。",
    ),
    browsers: unexpectedCode(403),
    mends: [
      mend(
        "application",
        "Look at its checks: origin, token, CSRF, role.",
        "检查它的校验：来源、令牌、CSRF、角色。",
      ),
      mend(
        "nginx",
        "allow and deny, auth_request, and a root without an index answer 403.",
        "allow/deny、auth_request，以及没有 index 的 root 都会回答 403。",
      ),
      mend(
        "cloudflare",
        "A challenge cannot be solved in a WebSocket: skip it for this path.",
        "WebSocket 无法完成质询：为该路径跳过。",
      ),
    ],
    confirm: words(
      "Compare with --origin, with the page's cookies, and from another address.",
      "用 --origin、页面的 cookie、以及另一个网络地址对比。",
    ),
    recognise: recogniseStatus([403], 0.85),
  },
  {
    id: "backend-unreachable",
    severity: "sick",
    title: words(
      "The proxy does not reach the application, or gets nothing that it understands (502).",
      "代理连不到应用，或收到无法理解的回答（502）。",
    ),
    explanation: words(
      "Nobody listens on the address that the proxy was given, the application dies on the handshake, or it speaks TLS (or no HTTP) there.",
      "代理配置的地址没有程序监听、应用在握手时崩溃，或该处是 TLS（或不是 HTTP）。",
    ),
    browsers: unexpectedCode(502),
    mends: [
      mend(
        "nginx",
        "Compare proxy_pass with what really listens, and http:// with https://; the error log names the reason.",
        "核对 proxy_pass 与实际监听地址，以及 http:// 还是 https://；错误日志会写明原因。",
        "proxy_pass http://127.0.0.1:PORT;   # ss -ltnp; tail /var/log/nginx/error.log",
      ),
      mend(
        "apache",
        "Its error log names the reason (AH01102, AH00957); a backend that speaks TLS wants https:// or wss://.",
        "错误日志写明原因（AH01102、AH00957）；后端使用 TLS 时要写 https:// 或 wss://。",
        'SSLProxyEngine on\nProxyPass "{path}" "https://BACKEND{path}" upgrade=websocket',
      ),
      mend("application", "Start it; in a container listen on 0.0.0.0.", "启动应用；容器里监听 0.0.0.0。"),
      mend(
        "ingress-nginx",
        "The service has no endpoints, or the wrong port.",
        "service 没有 endpoint，或端口错误。",
        "kubectl get endpoints SERVICE",
      ),
    ],
    confirm: words(
      "On the proxy's machine: curl -i http://BACKEND{path}. From here: --backend ws://BACKEND{path}",
      "在代理机器上：curl -i http://BACKEND{path}。在这里：--backend ws://BACKEND{path}",
    ),
    recognise: recogniseStatus([502, 521, 523, 530], 0.95),
  },
  {
    id: "backend-wants-tls",
    severity: "sick",
    title: words(
      "The proxy speaks plain HTTP to a backend that wants TLS.",
      "代理用明文 HTTP 访问了要求 TLS 的后端。",
    ),
    explanation: words(
      "The answer comes from behind the proxy: the backend's port takes https and wss only, and proxy_pass says http://. wss:// in the page changes nothing about it.",
      "回答来自代理后面：后端端口只接受 https 和 wss，而 proxy_pass 写的是 http://。页面里改用 wss:// 无济于事。",
    ),
    browsers: unexpectedCode(400, 502),
    mends: [
      mend(
        "nginx",
        "https:// in proxy_pass; the other line sends the backend's name, for certificates chosen by name.",
        "proxy_pass 写 https://；另一行发送后端的名字（SNI），供按名字选择证书。",
        "proxy_pass https://BACKEND;\nproxy_ssl_server_name on;",
      ),
      mend(
        "haproxy",
        "ssl on the server line.",
        "server 行加 ssl。",
        "server a BACKEND ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt",
      ),
      mend("caddy", "https:// before the backend.", "后端前写 https://。", "reverse_proxy https://BACKEND"),
      mend(
        "apache",
        "https:// in the ProxyPass, and TLS towards backends switched on.",
        "ProxyPass 写 https://，并打开到后端的 TLS。",
        'SSLProxyEngine on\nProxyPass "{path}" "https://BACKEND{path}" upgrade=websocket',
      ),
      mend(
        "ingress-nginx",
        "The annotation about the backend's protocol.",
        "声明后端协议的注解。",
        'nginx.ingress.kubernetes.io/backend-protocol: "HTTPS"',
      ),
    ],
    confirm: words(
      "On the proxy's machine: curl -ik https://BACKEND{path} gets an answer. From here: --backend wss://BACKEND{path}",
      "在代理机器上：curl -ik https://BACKEND{path} 能得到回答。在这里：--backend wss://BACKEND{path}",
    ),
    recognise: recogniseTlsBackend,
  },
  {
    id: "backend-unavailable",
    severity: "sick",
    title: words("No backend is available (503).", "没有可用的后端（503）。"),
    explanation: words(
      "Nobody listens on the address that the proxy was given (HAProxy and Apache say 503 then), all servers are down by the health check, the connection limit is reached, or it is being maintained.",
      "代理配置的地址没有程序监听（HAProxy 和 Apache 此时回答 503）、健康检查认为所有服务器宕机、达到连接上限，或正在维护。",
    ),
    browsers: unexpectedCode(503),
    mends: [
      mend(
        "application",
        "See that it runs, and listens where the proxy looks for it.",
        "确认应用在运行，并监听代理所配置的地址。",
        "ss -ltnp",
      ),
      mend(
        "apache",
        "After a connection that failed Apache does not try again for 60 seconds, and answers 503 all the while: retry=0.",
        "连接失败后 Apache 在 60 秒内不再尝试，期间一直回答 503：加 retry=0。",
        'ProxyPass "{path}" "http://BACKEND{path}" upgrade=websocket retry=0',
      ),
      mend(
        "haproxy",
        "A check that the application answers with 2xx or 3xx: a WebSocket server may answer 426.",
        "健康检查要得到 2xx 或 3xx：WebSocket 服务可能回答 426。",
        "option httpchk GET /health\nhttp-check expect status 200",
      ),
      mend(
        "aws-alb",
        "The target group's health check: path and success codes.",
        "目标组的健康检查：路径与成功码。",
      ),
      mend(
        "nginx",
        "nginx's own 503 comes from limit_conn, which counts every open tunnel, or from limit_req, which counts handshakes.",
        "nginx 自己的 503 来自 limit_conn（计入每个打开的隧道）或 limit_req（计入每次握手）。",
        "limit_conn perip 100;\nlimit_req zone=ws burst=20 nodelay;",
      ),
    ],
    confirm: words("Look at the proxy's view of its backends.", "查看代理眼中后端的状态。"),
    recognise: recogniseStatus([503], 0.93),
  },
  {
    id: "backend-silent",
    severity: "sick",
    title: words("The proxy waited in vain for the application.", "代理等待应用超时。"),
    explanation: words(
      "The path leads to a backend that takes the request and does not answer: the wrong backend, a firewall between the two, or an application that hangs.",
      "该路径通向一个收下请求却不回答的后端：后端写错、两者之间有防火墙，或应用卡住。",
    ),
    browsers: unexpectedCode(504, 502),
    mends: [
      mend(
        "nginx",
        "Does the path go to the backend that was meant? A location that does not match hands it to another one.",
        "路径是否去了预期的后端？没有匹配的 location 会把它交给别的后端。",
        "location {path} {\n    proxy_pass http://BACKEND;\n}",
      ),
      mend(
        "application",
        "Answer the handshake at once, before slow work such as a look into a database.",
        "先立即回答握手，再做数据库查询等慢操作。",
      ),
    ],
    confirm: words(
      "On the proxy's machine: curl -m 5 -i http://BACKEND{path}",
      "在代理机器上：curl -m 5 -i http://BACKEND{path}",
    ),
    recognise: (subject) => {
      const isApaches = /Reason: *(<strong>)?Error reading from remote server/i.test(bodyOf(subject.front));
      // Apache says 502 where its ProxyTimeout is over, and where the application hangs up; the latter is quick.
      if (isApaches && answerMs(subject.front) >= WAITED_MS_MIN) return recogniseStatus([502], 0.96)(subject);
      return recogniseStatus([504, 522, 524], 0.95)(subject);
    },
  },
  {
    id: "server-error",
    severity: "sick",
    title: words("The server fails on the handshake (5xx).", "服务器处理握手时出错（5xx）。"),
    explanation: words(
      "An exception in the application, or a broken rule in the proxy.",
      "应用抛出异常，或代理规则出错。",
    ),
    browsers: unexpectedCode(500),
    mends: [
      mend("application", "Its log has the exception.", "异常在应用日志里。"),
      mend(
        "nginx",
        "If the page is nginx's own, its error log names the reason: an auth_request that gets neither 2xx nor 401 or 403, a rewrite that goes round in circles, a file that may not be read.",
        "如果页面是 nginx 自己的，错误日志写明原因：auth_request 得到的既不是 2xx 也不是 401、403，rewrite 循环，或文件无权读取。",
        "tail /var/log/nginx/error.log",
      ),
      mend(
        "apache",
        '"No protocol handler was valid for the URL" in its error log: the module is not loaded. mod_proxy_wstunnel serves ws:// before 2.4.47, mod_proxy_http from then on.',
        "错误日志里有 “No protocol handler was valid for the URL”：缺少模块。2.4.47 之前由 mod_proxy_wstunnel 处理 ws://，之后由 mod_proxy_http 处理。",
        "a2enmod proxy_http proxy_wstunnel && systemctl reload apache2",
      ),
    ],
    confirm: words("Repeat, and look at the log.", "重试并查看日志。"),
    recognise: (subject) => {
      const status = answerOf(subject.front)?.status ?? 0;
      const isNamed = [502, 503, 504, 521, 522, 523, 524, 530, 501].includes(status);
      return status >= 500 && !isNamed ? recogniseStatus([status], 0.9)(subject) : null;
    },
  },
  {
    id: "rate-limited",
    severity: "sick",
    title: words("The server limits how often one may connect.", "服务器限制了连接频率。"),
    explanation: words(
      "A reconnect loop without a growing delay brings this about.",
      "没有退避的重连循环会造成这种情况。",
    ),
    browsers: unexpectedCode(429, 503),
    mends: [
      mend(
        "client",
        "Wait longer after each failure, with a random part.",
        "每次失败后等待更久，并加入随机量。",
      ),
      mend(
        "nginx",
        "Allow a burst: nginx answers 503 (limit_req_status) to all that is above the rate.",
        "允许突发：超出速率的请求 nginx 一律回答 503（limit_req_status）。",
        "limit_req zone=ws burst=50 nodelay;",
      ),
    ],
    confirm: words("Wait a minute, and try again.", "等一分钟再试。"),
    recognise: (subject) => recogniseStatus([429], 0.96)(subject) ?? recogniseLimit(subject),
  },
  {
    id: "head-too-large",
    severity: "sick",
    title: words(
      "The request's headers are too large, cookies most of the time.",
      "请求头过大，多半是 cookie。",
    ),
    explanation: words(
      "The server gives up on the head before it looks at the handshake.",
      "服务器在查看握手之前就放弃了请求头。",
    ),
    browsers: unexpectedCode(400, 431),
    mends: [
      mend(
        "nginx",
        "More room, or fewer cookies.",
        "调大缓冲，或减少 cookie。",
        "large_client_header_buffers 4 32k;",
      ),
    ],
    confirm: words("Without the cookies it works.", "去掉 cookie 就能工作。"),
    recognise: ({ front }) => {
      const status = answerOf(front)?.status;
      const isSaid = /Header Or Cookie Too Large/i.test(bodyOf(front));
      return status === 431 || isSaid ? found(0.97, statusLine(front), bodyLine(bodyOf(front))) : null;
    },
  },
  {
    id: "unexpected-answer",
    severity: "sick",
    isFallback: true,
    title: words(
      "The handshake is answered with {status}, and only 101 opens a WebSocket.",
      "握手得到的是 {status}，只有 101 才能打开 WebSocket。",
    ),
    explanation: words(
      "No proxy answers like that when it merely loses the Upgrade: somebody has decided so. The status and the body tell what was thought of the request.",
      "代理仅仅丢失 Upgrade 时不会这样回答：是某个程序有意为之。状态码和正文说明它如何看待这个请求。",
    ),
    browsers: unexpectedCode(410),
    mends: [
      mend(
        "application",
        "Look into its log at this moment, and at what it serves on this path: another version of the interface may have another path.",
        "查看此刻的应用日志，以及它在该路径上提供什么：接口换了版本，路径可能也换了。",
      ),
      mend(
        "nginx",
        "Look for return and error_page in the location that takes the path.",
        "检查处理该路径的 location 里的 return 和 error_page。",
        "grep -rnE 'return|error_page' /etc/nginx   # wsgate explain {url} -c /etc/nginx/nginx.conf",
      ),
    ],
    confirm: words(
      "Repeat with --backend ws://BACKEND{path} to see whose answer it is.",
      "加上 --backend ws://BACKEND{path} 再试，看是谁的回答。",
    ),
    recognise: ({ front, backend }) => {
      const answer = answerOf(front);
      if (answer === null || answer.status === 101) return null;
      const meaning = MEANINGS[answer.status] ?? null;
      return {
        ...found(
          0.97,
          statusLine(front),
          meaning,
          ownPageLine(front),
          bodyLine(bodyOf(front)),
          alikeLine(front) ?? unlikeLine(front),
          backendLine(backend),
        ),
        values: { status: `${answer.status} ${answer.reason}`.trim() },
      };
    },
  },
];

/** What statuses mean that have no illness of their own (RFC 9110 section 15). */
const MEANINGS: Readonly<Record<number, Words>> = {
  402: words("402: somebody has to pay first.", "402：需要先付费。"),
  408: words("408: the request came too slowly.", "408：请求发送得太慢。"),
  410: words("410: what was here is gone for good.", "410：这里的资源已永久移除。"),
  413: words(
    "413: the request has a body, which a handshake never has.",
    "413：请求带有正文，而握手不应有正文。",
  ),
  414: words(
    "414: the URL is too long; a token in the query makes it so.",
    "414：URL 太长，多半是查询串里的令牌。",
  ),
  417: words("417: an Expect header was not liked.", "417：不接受 Expect 头。"),
  421: words(
    "421: the Host belongs to another server than the name in TLS (SNI).",
    "421：Host 与 TLS 中的名字（SNI）属于不同的服务器。",
  ),
  451: words("451: it is forbidden by law.", "451：因法律原因禁止访问。"),
};
