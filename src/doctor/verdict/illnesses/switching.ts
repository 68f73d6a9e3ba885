/** The handshake is answered with a 101 that is not what it has to be. */
import { answerFaults, type AnswerFault } from "../../probe/handshake.ts";
import { verbatim, words } from "../../words.ts";
import { FIREFOX_CANNOT, handshakeError } from "../browsers.ts";
import { answerOf, backendLine, found } from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { mend } from "../mends.ts";

function answerFault(...faults: readonly AnswerFault[]): (subject: Case) => Finding | null {
  return ({ front, backend }) => {
    if (front.handshake === null) return null;
    const answer = answerOf(front);
    if (answer === null || !answerFaults(front.handshake).some((fault) => faults.includes(fault)))
      return null;
    const shown = answer.headers.filter(([name]) => /^(upgrade|connection|sec-websocket-)/i.test(name));
    const fields = shown.map(([name, value]) => `${name}: ${value}`).join("; ");
    return found(0.97, verbatim(`101; ${fields === "" ? "-" : fields}`), backendLine(backend));
  };
}

export const SWITCHING_ILLNESSES: readonly Illness[] = [
  {
    id: "accept-wrong",
    severity: "sick",
    title: words(
      "The 101 does not answer the key that was sent (Sec-WebSocket-Accept).",
      "101 没有正确回答所发送的 key（Sec-WebSocket-Accept）。",
    ),
    explanation: words(
      "The answer belongs to another handshake (a cache, a canned answer), or the server computes it wrongly. Clients must refuse it.",
      "回答属于另一次握手（缓存、写死的回答），或服务器计算错误。客户端必须拒绝。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Incorrect 'Sec-WebSocket-Accept' header value",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Sec-WebSocket-Accept' header is missing",
      ],
      firefox: FIREFOX_CANNOT,
      safari: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Sec-WebSocket-Accept mismatch",
      ],
    },
    mends: [
      mend(
        "application",
        'base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")), from the key of this very request.',
        'base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))，key 取自本次请求。',
      ),
      mend(
        "nginx",
        "Do not set Sec-WebSocket-Key, and do not cache.",
        "不要设置 Sec-WebSocket-Key，也不要缓存。",
        "proxy_cache off;",
      ),
    ],
    confirm: words(
      "Two handshakes in a row get the same Sec-WebSocket-Accept where it is canned.",
      "连续两次握手得到相同的 Sec-WebSocket-Accept，说明是写死的。",
    ),
    recognise: answerFault("accept-wrong", "accept-missing"),
  },
  {
    id: "upgrade-header-missing",
    severity: "sick",
    title: words(
      "The 101 lacks Upgrade or Connection: a hop has taken them out, or the server forgot them.",
      "101 缺少 Upgrade 或 Connection：途中被删除，或服务器没有写。",
    ),
    explanation: words(
      "The handshake reached the application, but its answer comes back mutilated. Some proxies strip hop-by-hop headers of answers; nginx tunnels a 101 without Upgrade.",
      "握手到达了应用，但回答在途中被改动。有的代理会删掉回答里的逐跳头；nginx 会照样转发没有 Upgrade 的 101。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Upgrade' header is missing",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Connection' header is missing",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Connection' header value must contain 'Upgrade'",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Upgrade' header value is not 'WebSocket': h2c",
      ],
      firefox: FIREFOX_CANNOT,
      safari: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Upgrade' header is missing",
      ],
    },
    mends: [
      mend(
        "nginx",
        "Look for proxy_hide_header, and for lua or njs filters of headers.",
        "检查 proxy_hide_header 以及 lua、njs 的头过滤。",
        "# proxy_hide_header Upgrade;   remove",
      ),
      mend("haproxy", "Look for http-response del-header.", "检查 http-response del-header。"),
      mend(
        "application",
        "Answer with Upgrade: websocket and Connection: Upgrade.",
        "回答中写 Upgrade: websocket 和 Connection: Upgrade。",
      ),
    ],
    confirm: words(
      "Straight to the backend the headers are there: --backend.",
      "直连后端时这些头存在：--backend。",
    ),
    recognise: answerFault("upgrade-missing", "upgrade-wrong", "connection-wrong"),
  },
  {
    id: "subprotocol-mismatch",
    severity: "sick",
    title: words("Page and server do not agree on a subprotocol.", "页面与服务器的子协议不一致。"),
    explanation: words(
      "A page that names subprotocols needs one of them in the answer, and one that names none must get none. A hop may have taken the header out.",
      "页面列出子协议时，回答里必须有其中之一；没有列出时回答里不能有。也可能途中删掉了这个头。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Sent non-empty 'Sec-WebSocket-Protocol' header but no response was received",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Response must not include 'Sec-WebSocket-Protocol' header if not present in request: {subprotocol}",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: 'Sec-WebSocket-Protocol' header value '{subprotocol}' in response does not match any of sent values",
      ],
      firefox: FIREFOX_CANNOT,
      safari: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Sec-WebSocket-Protocol mismatch",
      ],
    },
    mends: [
      mend(
        "application",
        "Choose one of the subprotocols that were offered.",
        "从客户端提供的子协议中选择一个。",
        "new WebSocketServer({ handleProtocols: (offered) => offered.values().next().value })",
      ),
      mend(
        "client",
        "Leave the second argument of new WebSocket out, or name what the server knows.",
        "去掉 new WebSocket 的第二个参数，或写服务器支持的名字。",
      ),
    ],
    confirm: words(
      "wsgate doctor {url} --subprotocol NAME, and without.",
      "分别带与不带 --subprotocol NAME 运行 wsgate doctor {url}。",
    ),
    recognise: answerFault("subprotocol-missing", "subprotocol-unasked"),
  },
  {
    id: "extension-unasked",
    severity: "sick",
    title: words(
      "The server answers with an extension that was not offered.",
      "服务器回答了没有提供过的扩展。",
    ),
    explanation: words(
      "RFC 6455 section 4.1 wants such an answer refused.",
      "RFC 6455 4.1 节要求拒绝这种回答。",
    ),
    browsers: handshakeError("Found an unsupported extension 'x' in 'Sec-WebSocket-Extensions' header"),
    mends: [mend("application", "Answer with what was offered only.", "只回答客户端提供过的扩展。")],
    confirm: words(
      "Look at Sec-WebSocket-Extensions in the evidence.",
      "查看证据中的 Sec-WebSocket-Extensions。",
    ),
    recognise: answerFault("extension-unasked"),
  },
  {
    id: "http2-connect-broken",
    severity: "sick",
    title: words(
      "The server offers WebSockets over HTTP/2 (RFC 8441), but they fail there; over HTTP/1.1 they work.",
      "服务器声称支持 HTTP/2 上的 WebSocket（RFC 8441），但实际失败；HTTP/1.1 上正常。",
    ),
    explanation: words(
      "A browser that already has an HTTP/2 connection to the host uses it, because SETTINGS_ENABLE_CONNECT_PROTOCOL says so. So it works in a fresh window and fails in the page.",
      "浏览器若已有到该主机的 HTTP/2 连接就会使用它，因为 SETTINGS_ENABLE_CONNECT_PROTOCOL 这样声明。所以新窗口正常，页面里失败。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
        "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_HTTP2_PROTOCOL_ERROR",
      ],
      firefox: FIREFOX_CANNOT,
      safari: [],
    },
    mends: [
      mend(
        "haproxy",
        "Do not offer it.",
        "不要声明支持。",
        "global\n    h2-workaround-bogus-websocket-clients",
      ),
      mend(
        "application",
        "Node: handle CONNECT streams, or leave enableConnectProtocol out.",
        "Node：处理 CONNECT 流，或去掉 enableConnectProtocol。",
      ),
    ],
    confirm: words(
      "In chrome://net-export, or with the page on another host name than the WebSocket.",
      "查看 chrome://net-export，或让页面与 WebSocket 使用不同主机名。",
    ),
    recognise: ({ front: { http2 } }) => {
      if (http2 === null || !http2.offersConnect || http2.status === 200) return null;
      return found(0.9, verbatim(`CONNECT :protocol websocket: ${http2.status ?? http2.error}`));
    },
  },
];
