/** The handshake is answered, but not with 101: who said no, and why. */
import { header } from "../../probe/exchange.ts";
import { statusOf } from "../../probe/handshake.ts";
import type { Walk } from "../../probe/walk.ts";
import { words } from "../../words.ts";
import { FIREFOX_CANNOT, unexpectedCode } from "../browsers.ts";
import {
  answerOf,
  backendLine,
  bodyOf,
  control,
  controlOpens,
  found,
  handshakeOpens,
  statusLine,
} from "../facts.ts";
import type { Illness } from "../illness.ts";
import { mend, PASS_THE_UPGRADE, ROUTE_THE_PATH } from "../mends.ts";
import { bodyLine } from "../pages.ts";
import {
  backendRefusesToo,
  recogniseLostUpgrade,
  recogniseRefusedHandshake,
  recogniseWrongPath,
} from "../refusal.ts";

function sentOrigin({ handshake }: Walk): string {
  return /^Origin: (.*)\r$/m.exec(handshake?.request ?? "")?.[1] ?? "-";
}

export const REFUSAL_ILLNESSES: readonly Illness[] = [
  {
    id: "upgrade-lost",
    severity: "sick",
    title: words(
      "The Upgrade is lost on the way: the application gets an ordinary GET instead of a handshake.",
      "Upgrade 在途中丢失：应用收到的是普通 GET，而不是握手。",
    ),
    explanation: words(
      "Upgrade and Connection are hop-by-hop headers: a proxy that is not told to hand them on drops them, and nginx before 1.29.7 speaks HTTP/1.0 to the backend besides. The application then answers as to any page: 400, 404, 426, or the page itself. That ws:// straight to the application works while wss:// through the proxy does not is the sign of it.",
      "Upgrade 和 Connection 是逐跳头：代理若没有配置就会丢弃它们，1.29.7 之前的 nginx 还会用 HTTP/1.0 访问后端。应用便像对普通页面那样回答：400、404、426 或页面内容。直连应用的 ws:// 正常而经过代理的 wss:// 失败，就是这个原因。",
    ),
    browsers: unexpectedCode(400, 404, 426, 200),
    mends: PASS_THE_UPGRADE,
    confirm: words(
      "Log what the backend gets: it shows a GET without Upgrade. Straight to the backend it works: wsgate doctor {url} --backend ws://BACKEND{path}",
      "在后端记录收到的请求：没有 Upgrade 的 GET。直连后端正常：wsgate doctor {url} --backend ws://BACKEND{path}",
    ),
    recognise: recogniseLostUpgrade,
  },
  {
    id: "path-not-routed",
    severity: "sick",
    title: words("The path {path} does not lead to the WebSocket.", "路径 {path} 没有通向 WebSocket。"),
    explanation: words(
      "The proxy has no rule that takes this path to the application (or another rule takes it first), or hands it on under another name.",
      "代理没有把该路径转给应用的规则（或被别的规则抢先），或转发时改了路径。",
    ),
    browsers: unexpectedCode(404, 400, 200),
    mends: ROUTE_THE_PATH,
    confirm: words(
      "Compare the path in the proxy's access log with the one in the application's. wsgate explain {url} -c nginx.conf tells which location takes it.",
      "对照代理日志与应用日志里的路径。wsgate explain {url} -c nginx.conf 会说明由哪个 location 处理。",
    ),
    recognise: recogniseWrongPath,
  },
  {
    id: "redirected",
    severity: "sick",
    title: words(
      "The server redirects the handshake, and browsers do not follow redirects of a WebSocket.",
      "服务器重定向了握手，而浏览器不会跟随 WebSocket 的重定向。",
    ),
    explanation: words(
      "The target of the redirect tells why: a slash that is missing at the end, another host, a page to log in.",
      "重定向的目标说明原因：末尾缺斜杠、换了主机、或登录页。",
    ),
    browsers: unexpectedCode(301, 302, 307, 308),
    mends: [
      mend(
        "client",
        "Connect to where the redirect points.",
        "直接连接重定向的目标。",
        'new WebSocket("{location}")',
      ),
      mend(
        "nginx",
        "A location that ends in a slash redirects the path without it: name both.",
        "以斜杠结尾的 location 会把不带斜杠的路径重定向：两个都写上。",
        "location = {path} {\n    proxy_pass http://BACKEND;\n    # and the three lines about Upgrade\n}",
      ),
      mend(
        "application",
        "If it points to a login: the session is missing. Let the WebSocket's path answer 401 instead.",
        "如果指向登录页：缺少会话。让 WebSocket 的路径返回 401。",
      ),
    ],
    confirm: words("curl -i on the same path shows the Location.", "对同一路径执行 curl -i 查看 Location。"),
    recognise: ({ front }) => {
      const answer = answerOf(front);
      const location = answer === null ? undefined : header(answer, "location");
      if (answer === null || answer.status < 300 || answer.status > 399) return null;
      const isToHttps = front.url.target?.scheme === "ws" && /^https:/i.test(location ?? "");
      const webSocketUrl = (location ?? "").replace(/^http/i, "ws");
      const finding = found(
        isToHttps ? 0.5 : 0.97,
        statusLine(front),
        words(`Location: ${location ?? "(none)"}`, `Location: ${location ?? "（无）"}`),
        controlOpens(front, "other-slash")
          ? words(
              "With the slash the other way round the WebSocket opens.",
              "把末尾的斜杠反过来，WebSocket 就能打开。",
            )
          : null,
      );
      return { ...finding, values: { location: webSocketUrl } };
    },
  },
  {
    id: "handshake-refused",
    severity: "sick",
    title: words("The handshake arrives, and the server refuses it.", "握手已送达，但服务器拒绝了。"),
    explanation: words(
      "Somebody reads the WebSocket headers and says no: to the path (the library ws answers 400 on every path but its own), to a missing subprotocol, cookie or query, or to a rule of RFC 6455 that a hop has broken.",
      "有程序读到了 WebSocket 头并拒绝：路径不对（ws 库对其他路径一律回答 400）、缺少子协议、cookie 或查询参数，或途中破坏了 RFC 6455 的某条规则。",
    ),
    browsers: unexpectedCode(400, 426),
    mends: [
      mend(
        "application",
        "Look into its log at this moment. Compare path, subprotocol, cookies and query with what it expects.",
        "查看此刻的应用日志，核对路径、子协议、cookie 和查询参数。",
      ),
      mend(
        "client",
        "Socket.IO is no plain WebSocket: its client has to be used, or this URL.",
        "Socket.IO 不是纯 WebSocket：要使用它的客户端，或下面的 URL。",
        "{scheme}://{authority}/socket.io/?EIO=4&transport=websocket",
      ),
    ],
    confirm: words(
      "wsgate doctor {url} with --subprotocol, --header or --origin as the page has them.",
      "按页面的实际情况加上 --subprotocol、--header 或 --origin 再试。",
    ),
    recognise: recogniseRefusedHandshake,
  },
  {
    id: "socket-io-parameters",
    severity: "sick",
    title: words(
      "This is a Socket.IO endpoint, and the URL lacks its parameters.",
      "这是 Socket.IO 端点，URL 缺少它的参数。",
    ),
    explanation: words(
      "Socket.IO wants EIO and transport in the query, and its own client on top of the WebSocket.",
      "Socket.IO 要求查询串带 EIO 和 transport，并使用它自己的客户端。",
    ),
    browsers: unexpectedCode(400),
    mends: [
      mend(
        "client",
        "Use its client, or this URL.",
        "使用它的客户端，或下面的 URL。",
        "{scheme}://{authority}/socket.io/?EIO=4&transport=websocket",
      ),
    ],
    confirm: words("The body is JSON with code and message.", "正文是带 code 和 message 的 JSON。"),
    recognise: ({ front }) =>
      /"code":[012345],"message":"/.test(bodyOf(front)) &&
      answerOf(front)?.status === 400 &&
      !/"code":3/.test(bodyOf(front))
        ? found(0.95, statusLine(front), bodyLine(bodyOf(front)))
        : null,
  },
  {
    id: "application-refuses",
    severity: "sick",
    title: words(
      "The application itself refuses the handshake: the proxy is not at fault.",
      "是应用自己拒绝了握手：代理没有问题。",
    ),
    explanation: words(
      "Straight to the backend the answer is the same, so there is nothing to mend in between.",
      "直连后端得到同样的回答，中间没有需要修改的地方。",
    ),
    browsers: unexpectedCode(400, 403, 404, 426, 500),
    mends: [
      mend(
        "application",
        "Look into its log; compare path, origin, subprotocol and credentials with what it expects.",
        "查看应用日志，核对路径、来源、子协议和凭证。",
      ),
    ],
    confirm: words("wsgate doctor on the backend's own address.", "直接对后端地址运行 wsgate doctor。"),
    recognise: (subject) =>
      backendRefusesToo(subject) && answerOf(subject.front) !== null
        ? found(0.96, statusLine(subject.front), backendLine(subject.backend))
        : null,
  },
  {
    id: "origin-refused",
    severity: "sick",
    title: words("The server does not take this Origin.", "服务器不接受该 Origin。"),
    explanation: words(
      "Browsers send the page's origin with every WebSocket, and servers compare it with a list or with the Host they see. A proxy that changes Host (or leaves the port out) makes an equal origin look foreign.",
      "浏览器会随 WebSocket 发送页面来源，服务器把它与列表或所见的 Host 比较。代理改写 Host（或丢掉端口）会让相同的来源看起来不同。",
    ),
    browsers: unexpectedCode(403),
    mends: [
      mend("application", "Add the page's origin to the ones that are allowed.", "把页面来源加入允许列表。"),
      mend(
        "nginx",
        "Hand the Host on as the browser sent it, port included.",
        "按浏览器发送的原样转发 Host，包括端口。",
        "proxy_set_header Host $http_host;",
      ),
    ],
    confirm: words(
      "wsgate doctor {url} --origin with an origin that is allowed opens.",
      "用允许的来源执行 wsgate doctor {url} --origin 就能打开。",
    ),
    recognise: ({ front }) => {
      const status = front.handshake === null ? null : statusOf(front.handshake);
      if (status === null || status === 101 || status < 400) return null;
      const body = bodyOf(front);
      const saysOrigin = /origin/i.test(body) && (status === 403 || status === 400);
      if (!controlOpens(front, "without-origin") && !saysOrigin) return null;
      return found(
        controlOpens(front, "without-origin") ? 0.98 : 0.85,
        statusLine(front),
        controlOpens(front, "without-origin")
          ? words("Without an Origin the same handshake is accepted.", "去掉 Origin 后同样的握手被接受。")
          : null,
        saysOrigin ? bodyLine(body) : null,
        words(
          `The Origin that was sent is ${sentOrigin(front)}; with --page or --origin it is the page's own.`,
          `发送的 Origin 是 ${sentOrigin(front)}；用 --page 或 --origin 可换成页面自己的。`,
        ),
      );
    },
  },
  {
    id: "connection-list-refused",
    severity: "sick",
    title: words(
      "Firefox fails: Connection: keep-alive, Upgrade is refused, while Connection: Upgrade is taken.",
      "Firefox 会失败：Connection: keep-alive, Upgrade 被拒绝，而 Connection: Upgrade 被接受。",
    ),
    explanation: words(
      "Connection is a list. Somebody compares it as a whole.",
      "Connection 是列表，有程序把它当作整体比较。",
    ),
    browsers: {
      chrome: [],
      firefox: FIREFOX_CANNOT,
      safari: [],
    },
    mends: [
      mend("nginx", "Write the header anew.", "重写该头。", 'proxy_set_header Connection "upgrade";'),
      mend(
        "haproxy",
        "Look for the word, not for the whole.",
        "按词查找，而不是整体比较。",
        "acl upgrade hdr(Connection),lower -m sub upgrade",
      ),
    ],
    confirm: words("Chrome connects, Firefox does not.", "Chrome 能连，Firefox 不能。"),
    recognise: ({ front }) => {
      if (!handshakeOpens(front)) return null;
      const firefox = control(front, "firefox");
      if (firefox === null || controlOpens(front, "firefox")) return null;
      // A server that takes one tunnel at a time refuses the other handshake, too.
      if (control(front, "without-origin") !== null && !controlOpens(front, "without-origin")) return null;
      const status = statusOf(firefox);
      return found(
        0.95,
        words(
          `With Connection: keep-alive, Upgrade: ${status ?? firefox.outcome.kind}.`,
          `使用 Connection: keep-alive, Upgrade 时：${status ?? firefox.outcome.kind}。`,
        ),
      );
    },
  },
];
