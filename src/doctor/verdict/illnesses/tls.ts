/** TLS where there is none, none where there is some, and TLS that does not come about. */
import { header } from "../../probe/exchange.ts";
import { PLAIN_ON_TLS_BODY } from "../../probe/plain-on-tls.ts";
import type { Walk } from "../../probe/walk.ts";
import { verbatim, words } from "../../words.ts";
import { FIREFOX_CANNOT, connectionError } from "../browsers.ts";
import { answerOf, bodyOf, control, controlOpens, found, portTakesTls, wantsProxyHeader } from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { mend } from "../mends.ts";
import { unreadBy } from "../unread.ts";

function plainToTls({ front }: Case): Finding | null {
  if (front.url.target?.scheme !== "ws" || front.handshake === null) return null;
  const body = bodyOf(front);
  const { outcome } = front.handshake;
  const said = PLAIN_ON_TLS_BODY.exec(body)?.[0];
  const isAlert = outcome.kind === "not-http" && /^[\x15\x16]\x03/.test(outcome.bytes);
  const opensWithTls = controlOpens(front, "other-scheme");
  const tlsAnswer = control(front, "other-scheme")?.outcome.kind === "answer";
  const isNoAnswer = outcome.kind !== "answer";
  // A proxy without TLS passes on what the backend says: then it is not this port that wants it.
  if (said !== undefined && !portTakesTls(front)) return null;
  if (said === undefined && !isAlert && !(isNoAnswer && tlsAnswer)) return null;
  return found(
    said !== undefined || isAlert || opensWithTls ? 0.99 : 0.9,
    said === undefined ? null : words(`The server says: "${said}".`, `服务器说：“${said}”。`),
    isAlert ? words("The answer is a TLS alert.", "回答是一个 TLS 警报。") : null,
    opensWithTls
      ? words("With wss:// the same port opens the WebSocket.", "同一端口用 wss:// 能打开 WebSocket。")
      : null,
    !opensWithTls && tlsAnswer ? words("With TLS the same port answers.", "同一端口用 TLS 有回答。") : null,
  );
}

/** Alerts about a certificate (RFC 8446 section 6.2); a server can only mean the client's. */
const ABOUT_CERTIFICATE =
  /alert (bad certificate|unsupported certificate|certificate (revoked|expired|unknown)|unknown ca)/i;

/** How TLS failed: before the handshake of the WebSocket or, as TLS 1.3 refuses certificates, during it. */
function tlsDetail({ tls, handshake }: Walk): string {
  const outcome = handshake?.outcome;
  return outcome?.kind === "ended" ? outcome.detail : (tls?.detail ?? "");
}

export const TLS_ILLNESSES: readonly Illness[] = [
  {
    id: "tls-to-plain-port",
    severity: "sick",
    title: words(
      "wss:// was sent to a port that speaks no TLS: port {port} answers in plain text.",
      "wss:// 连到了不支持 TLS 的端口：{port} 端口用明文回答。",
    ),
    explanation: words(
      "wss needs a server that takes TLS on that very port. A program that serves ws:// on 8080 does not serve wss:// there, by name or by IP address; and no browser setting helps.",
      "wss 要求该端口本身支持 TLS。在 8080 上提供 ws:// 的程序不会在那里提供 wss://，用域名或 IP 都一样；浏览器设置也无济于事。",
    ),
    browsers: connectionError("ERR_SSL_PROTOCOL_ERROR", "A TLS error caused the secure connection to fail."),
    mends: [
      mend(
        "nginx",
        "Take wss on 443 and pass it on in plain text; then write wss://{host}{path} without a port into the page.",
        "在 443 上接受 wss，再用明文转发；页面里写不带端口的 wss://{host}{path}。",
        `server {
    listen 443 ssl;
    server_name {host};
    ssl_certificate     /path/fullchain.pem;
    ssl_certificate_key /path/privkey.pem;
    location {path} {
        proxy_pass http://127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
}`,
      ),
      mend(
        "nginx",
        "If nginx listens there already: ssl is missing on the listen line.",
        "如果该端口就是 nginx：listen 行少了 ssl。",
        "listen {port} ssl;",
      ),
      mend(
        "haproxy",
        "ssl and crt on the bind line.",
        "bind 行加 ssl 和 crt。",
        "bind :{port} ssl crt /path/both.pem",
      ),
      mend(
        "caddy",
        "Give the site its name, and Caddy fetches a certificate.",
        "写上站点域名，Caddy 会自动申请证书。",
        "{host} {\n    reverse_proxy BACKEND\n}",
      ),
      mend(
        "client",
        "If the page itself is http: use ws://.",
        "如果页面本身是 http：用 ws://。",
        'new WebSocket("ws://{authority}{path}")',
      ),
    ],
    confirm: words(
      'openssl s_client -connect {host}:{port} says "wrong version number"; curl http://{host}:{port}/ gets an answer.',
      "openssl s_client -connect {host}:{port} 会报 “wrong version number”；curl http://{host}:{port}/ 能得到回答。",
    ),
    recognise: ({ front }) => {
      const { tls } = front;
      if (tls === null) return null;
      const opens = controlOpens(front, "other-scheme");
      const answers = control(front, "other-scheme")?.outcome.kind === "answer";
      if (tls.outcome !== "not-tls" && !(opens && tls.outcome !== "established")) return null;
      const firstLine = tls.firstBytes.split(/\r?\n/)[0] ?? "";
      return found(
        // A port of TLS behind a balancer that puts a PROXY header before the ClientHello answers so, too.
        unreadBy(front) !== null ? 0.6 : opens || answers || firstLine.startsWith("HTTP/") ? 0.99 : 0.9,
        firstLine === ""
          ? null
          : words(
              `The answer to the ClientHello is "${firstLine}".`,
              `对 ClientHello 的回答是“${firstLine}”。`,
            ),
        opens ? words("ws:// opens on the same port.", "同一端口用 ws:// 能打开。") : null,
        tls.detail === "" ? null : verbatim(tls.detail),
      );
    },
  },
  {
    id: "plain-to-tls-port",
    severity: "sick",
    title: words(
      "ws:// was sent to a port that speaks TLS: use wss://.",
      "ws:// 连到了 TLS 端口：应使用 wss://。",
    ),
    explanation: words(
      "The port {port} expects a TLS handshake and got plain HTTP.",
      "{port} 端口期待 TLS 握手，却收到了明文 HTTP。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
        "WebSocket connection to '{url}' failed: Connection closed before receiving a handshake response",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: net::ERR_INVALID_HTTP_RESPONSE",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: The network connection was lost."],
    },
    mends: [
      mend("client", "Use wss://.", "改用 wss://。", 'new WebSocket("wss://{authority}{path}")'),
      mend(
        "nginx",
        "Behind nginx: the backend speaks TLS.",
        "在 nginx 后面：后端使用 TLS。",
        "proxy_pass https://BACKEND;",
      ),
    ],
    confirm: words(
      "curl -k https://{host}:{port}/ gets an answer.",
      "curl -k https://{host}:{port}/ 能得到回答。",
    ),
    recognise: plainToTls,
  },
  {
    id: "tls-outdated",
    severity: "sick",
    title: words(
      "The server speaks TLS 1.0 or 1.1 only, which browsers have given up.",
      "服务器只支持 TLS 1.0 或 1.1，浏览器已停止支持。",
    ),
    explanation: words("Since 2020 browsers want TLS 1.2 or later.", "2020 年起浏览器要求 TLS 1.2 以上。"),
    browsers: connectionError(
      "ERR_SSL_VERSION_OR_CIPHER_MISMATCH",
      "A TLS error caused the secure connection to fail.",
    ),
    mends: [
      mend("nginx", "Allow the newer ones.", "允许新版本。", "ssl_protocols TLSv1.2 TLSv1.3;"),
      mend("haproxy", "The same.", "同上。", "ssl-default-bind-options ssl-min-ver TLSv1.2"),
    ],
    confirm: words(
      "openssl s_client -connect {host}:{port} -tls1_2",
      "openssl s_client -connect {host}:{port} -tls1_2",
    ),
    recognise: ({ front }) =>
      front.tls?.isOutdated === true ? found(0.98, verbatim(front.tls.detail)) : null,
  },
  {
    id: "tls-http2-only",
    severity: "sick",
    title: words(
      "The server takes HTTP/2 only, and a WebSocket begins in HTTP/1.1.",
      "服务器只接受 HTTP/2，而 WebSocket 从 HTTP/1.1 开始。",
    ),
    explanation: words(
      "For wss:// browsers offer http/1.1 alone (ALPN), and the server refuses it.",
      "浏览器对 wss:// 的 ALPN 只提供 http/1.1，服务器拒绝了。",
    ),
    browsers: connectionError("ERR_SSL_PROTOCOL_ERROR", "A TLS error caused the secure connection to fail."),
    mends: [mend("haproxy", "Offer both.", "两者都提供。", "bind :443 ssl crt both.pem alpn h2,http/1.1")],
    confirm: words(
      "openssl s_client -connect {host}:{port} -alpn http/1.1",
      "openssl s_client -connect {host}:{port} -alpn http/1.1",
    ),
    recognise: ({ front }) =>
      front.tls?.refusesHttp1 === true ? found(0.97, verbatim(front.tls.detail)) : null,
  },
  {
    id: "tls-name-unknown",
    severity: "sick",
    title: words(
      "The server has no certificate for {host} and ends the TLS handshake.",
      "服务器没有 {host} 的证书，中止了 TLS 握手。",
    ),
    explanation: words(
      "It refuses the name that the client sends (SNI), or the absence of one, as with an IP address.",
      "它拒绝客户端发送的名字（SNI），或拒绝没有名字的连接（如用 IP 地址）。",
    ),
    browsers: connectionError(
      "ERR_SSL_UNRECOGNIZED_NAME_ALERT",
      "A TLS error caused the secure connection to fail.",
    ),
    mends: [
      mend(
        "caddy",
        "Caddy serves the names of its sites only; name this one.",
        "Caddy 只为已声明的站点服务；写上这个名字。",
        "{host} {\n    reverse_proxy BACKEND\n}",
      ),
      mend(
        "haproxy",
        "strict-sni refuses unknown names.",
        "strict-sni 会拒绝未知名字。",
        "bind :443 ssl crt /path/of/{host}.pem",
      ),
      mend(
        "nginx",
        "ssl_reject_handshake refuses what no server_name takes.",
        "ssl_reject_handshake 会拒绝没有匹配 server_name 的连接。",
        "server {\n    listen 443 ssl;\n    server_name {host};\n    ssl_certificate …;\n}",
      ),
    ],
    confirm: words(
      "openssl s_client -connect {host}:{port} with and without -servername {host}",
      "openssl s_client -connect {host}:{port}，分别带与不带 -servername {host}",
    ),
    recognise: ({ front: { tls } }) => {
      if (tls?.outcome !== "alert" || tls.isOutdated || tls.refusesHttp1 || tls.asksForCertificate)
        return null;
      const isName = /unrecognized name|internal error|access denied|handshake failure/i.test(tls.detail);
      return isName ? found(/unrecognized name/i.test(tls.detail) ? 0.97 : 0.85, verbatim(tls.detail)) : null;
    },
  },
  {
    id: "tls-client-certificate",
    severity: "sick",
    title: words("The server wants a certificate of the client.", "服务器要求客户端证书。"),
    explanation: words(
      "Mutual TLS is on for this port, and the client has no certificate to show. A page cannot choose one: the browser asks the user when a page of this host is opened, and never for a WebSocket.",
      "该端口启用了双向 TLS，而客户端没有可出示的证书。页面无法自己选择证书：浏览器只在打开该主机的页面时询问用户，不会为 WebSocket 询问。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_BAD_SSL_CLIENT_AUTH_CERT",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: There was a bad response from the server."],
    },
    mends: [
      mend(
        "nginx",
        "ssl_verify_client holds for the whole server: ask for a certificate there, and demand it only in the locations that need one.",
        "ssl_verify_client 对整个 server 生效：在 server 里设为可选，只在需要的 location 里强制要求。",
        `ssl_verify_client optional;
location /admin/ {
    if ($ssl_client_verify != SUCCESS) { return 403; }
}`,
      ),
      mend(
        "haproxy",
        "verify optional on the bind line; demand the certificate where it is needed.",
        "bind 行用 verify optional，只在需要的地方强制要求证书。",
        `bind :{port} ssl crt /path/both.pem ca-file /path/ca.pem verify optional
http-request deny if { path_beg /admin/ } !{ ssl_c_used }`,
      ),
      mend(
        "caddy",
        "In the site's tls: check a certificate where one is shown.",
        "在站点的 tls 里：出示了证书才验证。",
        `tls {
    client_auth {
        mode verify_if_given
        trusted_ca_cert_file /path/ca.pem
    }
}`,
      ),
      mend(
        "apache",
        "SSLVerifyClient optional for the whole server; demand the certificate where it is needed.",
        "整个服务器用 SSLVerifyClient optional，只在需要的地方强制要求证书。",
        `SSLVerifyClient optional
<Location "/admin/">
    Require expr "%{SSL_CLIENT_VERIFY} == 'SUCCESS'"
</Location>`,
      ),
      mend(
        "client",
        "Or open https://{authority}/ first and choose a certificate there: the browser then uses it for the WebSocket, too. Programs name theirs.",
        "或先打开 https://{authority}/ 并选择证书：之后浏览器也会用于 WebSocket。程序则要自己指定证书。",
        'new WebSocket("{url}", { cert: readFileSync("client.pem"), key: readFileSync("client.key") })   // Node, ws',
      ),
    ],
    confirm: words(
      'openssl s_client -connect {host}:{port} -servername {host} </dev/null shows "Acceptable client certificate CA names". With a certificate: wsgate doctor {url} --cert client.pem --key client.key',
      "openssl s_client -connect {host}:{port} -servername {host} </dev/null 会显示 “Acceptable client certificate CA names”。带上证书再试：wsgate doctor {url} --cert client.pem --key client.key",
    ),
    recognise: ({ front }) => {
      const said = /No required SSL certificate was sent/.exec(bodyOf(front))?.[0];
      if (said !== undefined) return found(0.98, verbatim(said));
      const { tls } = front;
      if (tls === null || tls.showsCertificate) return null;
      const detail = tlsDetail(front);
      if (/certificate required/i.test(detail)) return found(0.98, verbatim(detail));
      // Before TLS 1.3 there was no alert of its own for it.
      if (tls.asksForCertificate)
        return found(
          0.96,
          verbatim(detail),
          words(
            "The server asks for a certificate (CertificateRequest).",
            "服务器索要了证书（CertificateRequest）。",
          ),
        );
      return ABOUT_CERTIFICATE.test(detail) ? found(0.9, verbatim(detail)) : null;
    },
  },
  {
    id: "tls-client-certificate-refused",
    severity: "sick",
    title: words("The server does not accept the client's certificate.", "服务器不接受客户端的证书。"),
    explanation: words(
      "It asks for a certificate, gets one, and does not trust it: it was signed by another authority than the server knows, has expired, or was revoked.",
      "服务器索要并收到了证书，但不信任它：签发机构不是服务器认识的、已过期，或已被吊销。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error in connection establishment: net::ERR_BAD_SSL_CLIENT_AUTH_CERT",
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 400",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: There was a bad response from the server."],
    },
    mends: [
      mend(
        "nginx",
        "The authority that signed the clients' certificates, with all intermediates; the depth counts them.",
        "签发客户端证书的机构及全部中间证书；深度要算上它们。",
        "ssl_client_certificate /path/of/clients-ca.pem;\nssl_verify_depth 2;",
      ),
      mend(
        "haproxy",
        "ca-file is the authority that signed the clients' certificates.",
        "ca-file 是签发客户端证书的机构。",
        "bind :{port} ssl crt /path/both.pem ca-file /path/of/clients-ca.pem verify required",
      ),
      mend(
        "apache",
        "The authority that signed the clients' certificates.",
        "签发客户端证书的机构。",
        "SSLCACertificateFile /path/of/clients-ca.pem\nSSLVerifyDepth 2",
      ),
      mend(
        "client",
        "Or show one that the server knows, and renew one that has expired.",
        "或出示服务器认识的证书；过期的要续期。",
      ),
    ],
    confirm: words(
      "openssl verify -CAfile clients-ca.pem client.pem",
      "openssl verify -CAfile clients-ca.pem client.pem",
    ),
    recognise: ({ front }) => {
      const said = /The SSL certificate error/.exec(bodyOf(front))?.[0];
      if (said !== undefined) return found(0.98, verbatim(said));
      const detail = tlsDetail(front);
      const isRefused = front.tls?.showsCertificate === true && ABOUT_CERTIFICATE.test(detail);
      return isRefused ? found(0.96, verbatim(detail)) : null;
    },
  },
  {
    id: "tls-cut",
    severity: "sick",
    title: words(
      "The connection is cut, or nothing answers, during the TLS handshake.",
      "TLS 握手期间连接被切断或没有回应。",
    ),
    explanation: words(
      "The port takes connections but not a ClientHello: a device on the way filters by name, a TCP balancer has no live backend, or the port speaks another protocol.",
      "端口接受连接却不接受 ClientHello：途中设备按名字过滤、TCP 负载均衡没有存活后端，或端口是别的协议。",
    ),
    browsers: connectionError("ERR_CONNECTION_CLOSED", "The network connection was lost."),
    mends: [
      mend(
        "network",
        "Look at what stands on that port: a balancer's target health, a firewall that inspects TLS.",
        "检查该端口上的设备：负载均衡的目标健康状态、检查 TLS 的防火墙。",
      ),
      mend(
        "haproxy",
        "send-proxy on the server line puts a PROXY header before the ClientHello: take it off where the server behind does not know it.",
        "server 行的 send-proxy 会在 ClientHello 之前加 PROXY 头：后面的服务器不认识它时要去掉。",
        "server a BACKEND   # without send-proxy",
      ),
    ],
    confirm: words(
      "openssl s_client -connect {host}:{port} from inside and from outside.",
      "从内网和外网分别执行 openssl s_client -connect {host}:{port}。",
    ),
    recognise: ({ front }) => {
      const { tls } = front;
      if (tls?.outcome !== "ended" && tls?.outcome !== "timeout" && tls?.outcome !== "error") return null;
      if (wantsProxyHeader(front)) return null;
      return found(0.8, verbatim(`TLS: ${tls.outcome}`), tls.detail === "" ? null : verbatim(tls.detail));
    },
  },
  {
    id: "redirect-to-https",
    severity: "sick",
    title: words(
      "The server redirects ws:// to https://, and browsers do not follow redirects of a WebSocket.",
      "服务器把 ws:// 重定向到 https://，而浏览器不会跟随 WebSocket 的重定向。",
    ),
    explanation: words(
      "The usual redirect of port 80 to 443 answers the handshake with 301.",
      "常见的 80 到 443 跳转用 301 回答了握手。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Error during WebSocket handshake: Unexpected response code: 301",
      ],
      firefox: FIREFOX_CANNOT,
      safari: ["WebSocket connection to '{url}' failed: Unexpected response code: 301"],
    },
    mends: [
      mend("client", "Connect with wss://.", "使用 wss:// 连接。", 'new WebSocket("wss://{host}{path}")'),
    ],
    confirm: words(
      "curl -i http://{authority}{path} shows Location: https://…",
      "curl -i http://{authority}{path} 显示 Location: https://…",
    ),
    recognise: ({ front }) => {
      const answer = answerOf(front);
      const location = answer === null ? undefined : header(answer, "location");
      if (answer === null || location === undefined || answer.status < 300 || answer.status > 399)
        return null;
      if (front.url.target?.scheme !== "ws" || !/^https:/i.test(location)) return null;
      return found(0.98, verbatim(`${answer.status}, Location: ${location}`));
    },
  },
];
