/** What browsers refuse by themselves: the URL, and what the page may connect to. */
import type { UrlFault } from "../../probe/url.ts";
import { verbatim, words } from "../../words.ts";
import { NOTHING_SAID } from "../browsers.ts";
import { found } from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { mend } from "../mends.ts";

function urlFault(...faults: readonly UrlFault[]): (subject: Case) => Finding | null {
  return ({ front }) =>
    faults.some((fault) => front.url.faults.includes(fault))
      ? found(1, words(`The URL is "${front.url.given}".`, `URL 是“${front.url.given}”。`))
      : null;
}

export const URL_ILLNESSES: readonly Illness[] = [
  {
    id: "url-unusable",
    severity: "sick",
    title: words("This is no URL of a WebSocket.", "这不是 WebSocket 的 URL。"),
    explanation: words(
      "A browser's WebSocket takes URLs that begin with ws:// or wss://, and throws a SyntaxError for others.",
      "浏览器的 WebSocket 只接受 ws:// 或 wss:// 开头的 URL，其他的会抛出 SyntaxError。",
    ),
    browsers: {
      chrome: [
        "Failed to construct 'WebSocket': The URL '{url}' is invalid.",
        "Failed to construct 'WebSocket': The URL's scheme must be either 'http', 'https', 'ws', or 'wss'. 'ftp' is not allowed.",
      ],
      firefox: [
        "An invalid or illegal string was specified",
        "SyntaxError: An invalid or illegal string was specified",
      ],
      safari: ["SyntaxError: The string did not match the expected pattern."],
    },
    mends: [
      mend(
        "client",
        "Write the URL in full.",
        "写完整的 URL。",
        'new WebSocket("{scheme}://{authority}{path}")',
      ),
    ],
    confirm: words(
      "Try the URL in the browser's console: new WebSocket(url).",
      "在浏览器控制台里试 new WebSocket(url)。",
    ),
    recognise: urlFault("unparsable", "no-scheme", "foreign-scheme"),
  },
  {
    id: "url-fragment",
    severity: "sick",
    title: words(
      "The URL has a fragment (#…), which no WebSocket URL may have.",
      "URL 带有片段（#…），WebSocket 的 URL 不允许。",
    ),
    explanation: words(
      "RFC 6455 section 3 forbids fragments; browsers throw before they connect. A # that belongs to a value has to be written as %23.",
      "RFC 6455 第 3 节禁止片段；浏览器在连接之前就会抛错。值里的 # 要写成 %23。",
    ),
    browsers: {
      chrome: [
        "Failed to construct 'WebSocket': The URL contains a fragment identifier ('{fragment}'). Fragment identifiers are not allowed in WebSocket URLs.",
      ],
      firefox: ["An invalid or illegal string was specified"],
      safari: ["SyntaxError: URL has fragment component"],
    },
    mends: [
      mend(
        "client",
        "Take everything from # on away, or encode it.",
        "去掉 # 及其后的内容，或进行编码。",
        "encodeURIComponent(value)",
      ),
    ],
    confirm: words(
      "Without the fragment the walk goes on as shown below.",
      "去掉片段后，下面的步骤照常进行。",
    ),
    recognise: urlFault("fragment"),
  },
  {
    id: "url-blocked-port",
    severity: "sick",
    title: words("Browsers refuse to connect to this port.", "浏览器拒绝连接这个端口。"),
    explanation: words(
      "The Fetch standard lists ports of other protocols (such as 6000 for X11) that pages must not reach. Programs can connect, browsers never do.",
      "Fetch 标准列出了属于其他协议的端口（如 X11 的 6000），页面不得访问。程序能连，浏览器永远不连。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_UNSAFE_PORT",
      ],
      firefox: ["SecurityError: The operation is insecure."],
      safari: ["WebSocket connection to '{url}' failed: Not allowed to use restricted network port"],
    },
    mends: [mend("network", "Serve the WebSocket on another port, best on 443.", "换一个端口，最好是 443。")],
    confirm: words("The list is in the Fetch standard, section 2.9.", "列表见 Fetch 标准 2.9 节。"),
    recognise: urlFault("blocked-port"),
  },
  {
    id: "mixed-content",
    severity: "sick",
    title: words(
      "The page came over https, so the browser does not let it open a ws:// WebSocket (mixed content).",
      "页面通过 https 打开，浏览器不允许它连接 ws://（混合内容）。",
    ),
    explanation: words(
      "A secure page may only open secure WebSockets. The browser refuses by itself: nothing reaches the server, whatever it is.",
      "安全页面只能打开安全的 WebSocket。浏览器自己就拒绝了，请求根本不会到达服务器。",
    ),
    browsers: {
      chrome: [
        "Mixed Content: The page at '{page}' was loaded over HTTPS, but attempted to connect to the insecure WebSocket endpoint '{url}'. This request has been blocked; this endpoint must be available over WSS.",
        "Failed to construct 'WebSocket': An insecure WebSocket connection may not be initiated from a page loaded over HTTPS.",
      ],
      firefox: [
        "SecurityError: The operation is insecure.",
        "Uncaught DOMException: The operation is insecure.",
      ],
      safari: [
        "[blocked] The page at {page} was not allowed to run insecure content from {url}.",
        "SecurityError: The operation is insecure.",
      ],
    },
    mends: [
      mend(
        "client",
        "Use wss:// with the page's own host, so that one line serves both schemes.",
        "使用 wss:// 和页面自己的主机名；下面一行同时适用两种协议。",
        "new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}{path}`)",
      ),
      mend(
        "nginx",
        "Take TLS in nginx and speak ws to the backend.",
        "由 nginx 终止 TLS，对后端仍用 ws。",
        `server {
    listen 443 ssl;
    ssl_certificate     /path/fullchain.pem;
    ssl_certificate_key /path/privkey.pem;
    location {path} {
        proxy_pass http://BACKEND;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
}`,
      ),
    ],
    confirm: words(
      "Open the page over http: the same WebSocket opens. Or look for the message in the browser's console; the network panel shows no request.",
      "用 http 打开页面，同样的 WebSocket 就能连上；或在控制台里找这条消息，网络面板里没有请求。",
    ),
    recognise: ({ front }) =>
      front.page?.isMixedContent === true
        ? found(
            1,
            words(
              `The page is ${front.page.url}, the WebSocket is ${front.url.given}.`,
              `页面是 ${front.page.url}，WebSocket 是 ${front.url.given}。`,
            ),
          )
        : null,
  },
  {
    id: "content-security-policy",
    severity: "sick",
    title: words(
      "The page's Content-Security-Policy does not let it connect to this host.",
      "页面的 Content-Security-Policy 不允许连接这个主机。",
    ),
    explanation: words(
      "connect-src (or default-src in its stead) has to list the WebSocket's scheme and host. The browser refuses by itself: nothing reaches the server.",
      "connect-src（没有时由 default-src 代替）必须列出 WebSocket 的协议和主机。浏览器自己就拒绝了，请求不会到达服务器。",
    ),
    browsers: {
      chrome: [
        "Refused to connect to '{url}' because it violates the following Content Security Policy directive: \"{directive}\".",
        "Connecting to '{url}' violates the following Content Security Policy directive: \"{directive}\". The action has been blocked.",
      ],
      firefox: [
        "Content-Security-Policy: The page’s settings blocked the loading of a resource (connect-src) at {url} because it violates the following directive: “{directive}”",
      ],
      safari: [
        "Refused to connect to {url} because it does not appear in the connect-src directive of the Content Security Policy.",
      ],
    },
    mends: [
      mend(
        "nginx",
        "List the WebSocket's origin.",
        "列出 WebSocket 的来源。",
        `add_header Content-Security-Policy "connect-src 'self' {scheme}://{authority}" always;`,
      ),
    ],
    confirm: words("The browser's console quotes the directive.", "浏览器控制台会引用该指令。"),
    recognise: ({ front }) =>
      front.page === null || front.page.forbidding === null
        ? null
        : {
            certainty: 0.98,
            support: [verbatim(`Content-Security-Policy: ${front.page.forbidding}`)],
            values: { directive: front.page.forbidding },
          },
  },
  {
    id: "url-http-scheme",
    severity: "note",
    title: words(
      "The URL says http(s); older browsers and most libraries want ws(s).",
      "URL 写的是 http(s)；旧浏览器和多数库要求 ws(s)。",
    ),
    explanation: words(
      "Chrome 125, Firefox 124 and Safari 17.3 were the first to take http: and https: for ws: and wss:.",
      "Chrome 125、Firefox 124、Safari 17.3 起才把 http、https 当作 ws、wss。",
    ),
    browsers: {
      chrome: [
        "Failed to construct 'WebSocket': The URL's scheme must be either 'ws' or 'wss'. 'https' is not allowed.",
      ],
      firefox: ["SyntaxError: An invalid or illegal string was specified"],
      safari: ["SyntaxError: Wrong url scheme for WebSocket"],
    },
    mends: [mend("client", "Write ws:// or wss://.", "写 ws:// 或 wss://。")],
    confirm: words("Try an older browser.", "用旧浏览器试。"),
    recognise: urlFault("http-scheme"),
  },
  {
    id: "url-credentials",
    severity: "note",
    title: words(
      "The URL carries a user name or a password; browsers do not all send them.",
      "URL 里带有用户名或密码；并非所有浏览器都会发送。",
    ),
    explanation: words(
      "Safari and libraries drop them, and they end up in logs.",
      "Safari 和一些库会丢弃它们，而且它们会留在日志里。",
    ),
    browsers: NOTHING_SAID,
    mends: [
      mend(
        "client",
        "Use a cookie, or a short-lived ticket in the query.",
        "改用 cookie，或查询串里的短期票据。",
      ),
    ],
    confirm: words("Look at the Authorization header that arrives.", "查看收到的 Authorization 头。"),
    recognise: urlFault("credentials"),
  },
];
