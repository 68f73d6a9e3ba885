/** Certificates that no browser trusts. */
import { isIP } from "node:net";
import type { CertificateFault } from "../../probe/tls.ts";
import type { Walk } from "../../probe/walk.ts";
import { verbatim, type Words, words } from "../../words.ts";
import { connectionError } from "../browsers.ts";
import { found } from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { mend } from "../mends.ts";

function certificateLines({ tls }: Walk): readonly Words[] {
  const [own] = tls?.chain ?? [];
  if (tls === null || own === undefined) return [];
  return [
    verbatim(`certificate: ${own.subject}; ${own.names.join(", ")}`),
    verbatim(`issuer: ${own.issuer}`),
    words(`valid from ${own.validFrom} to ${own.validTo}`, `有效期 ${own.validFrom} 至 ${own.validTo}`),
    ...(tls.verifyError === "" ? [] : [verbatim(`OpenSSL: ${tls.verifyError}`)]),
  ];
}

function certificateFault(fault: CertificateFault, certainty: number): (subject: Case) => Finding | null {
  return ({ front }) =>
    front.tls?.faults.includes(fault) === true ? found(certainty, ...certificateLines(front)) : null;
}

/** What OpenSSL's names mean. */
const REASONS: Readonly<Record<string, Words>> = {
  INVALID_PURPOSE: words(
    "It was not made for servers: its extended key usage lacks serverAuth.",
    "它不是为服务器签发的：扩展密钥用法中没有 serverAuth。",
  ),
  EE_KEY_TOO_SMALL: words("Its key is too short.", "它的密钥太短。"),
  CA_KEY_TOO_SMALL: words("The key of its authority is too short.", "签发机构的密钥太短。"),
  CA_MD_TOO_WEAK: words(
    "It is signed with a hash that is too weak, such as SHA-1.",
    "它的签名使用了过弱的哈希，例如 SHA-1。",
  ),
  INVALID_CA: words("It was signed by a certificate that is no authority.", "签发它的证书不是证书机构。"),
  CERT_REVOKED: words("It was revoked.", "它已被吊销。"),
};

const CERTIFICATE_INVALID =
  "The certificate for this server is invalid. You might be connecting to a server that is pretending to be “{host}” which could put your confidential information at risk.";

export const CERTIFICATE_ILLNESSES: readonly Illness[] = [
  {
    id: "certificate-name",
    severity: "sick",
    title: words("The certificate does not cover {host}.", "证书不包含 {host}。"),
    explanation: words(
      "A browser compares the host of the URL with the names in the certificate. An IP address must be listed as such, which public authorities rarely do: use the name. For a page one can click a warning away; for a WebSocket there is no warning to click.",
      "浏览器把 URL 的主机与证书中的名字比较。IP 地址必须作为 IP 列出，公共证书机构很少这样做：请使用域名。页面的警告可以点过去，WebSocket 没有警告可点。",
    ),
    browsers: connectionError("ERR_CERT_COMMON_NAME_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend(
        "client",
        "Use a name that the certificate has.",
        "使用证书里有的域名。",
        'new WebSocket("wss://{certificateName}{path}")',
      ),
      mend(
        "certificate",
        "Or have one made that covers this name.",
        "或重新签发包含该名字的证书。",
        "certbot --nginx -d {host}",
      ),
      mend(
        "nginx",
        "If the certificate exists: this server block was not the one chosen. server_name has to say the name, next to its certificate.",
        "如果证书已有：选中的不是这个 server。server_name 要写上域名，并配上对应证书。",
        "server {\n    listen 443 ssl;\n    server_name {host};\n    ssl_certificate /path/of/{host}/fullchain.pem;\n}",
      ),
    ],
    confirm: words(
      "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -ext subjectAltName",
      "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -ext subjectAltName",
    ),
    recognise: certificateFault("name-mismatch", 0.97),
  },
  {
    id: "certificate-expired",
    severity: "sick",
    title: words("The certificate has expired.", "证书已过期。"),
    explanation: words(
      "Its validity ended. Where it was renewed, the server has not loaded the new file yet.",
      "证书有效期已结束。如果已经续期，服务器还没有加载新文件。",
    ),
    browsers: connectionError("ERR_CERT_DATE_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend("certificate", "Renew it.", "续期。", "certbot renew"),
      mend("nginx", "Load what was renewed.", "加载续期后的证书。", "nginx -s reload"),
    ],
    confirm: words(
      "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -dates",
      "openssl s_client -connect {host}:{port} -servername {host} </dev/null | openssl x509 -noout -dates",
    ),
    recognise: certificateFault("expired", 0.98),
  },
  {
    id: "certificate-not-yet-valid",
    severity: "sick",
    title: words(
      "The certificate is not valid yet, or the clock of this machine is wrong.",
      "证书尚未生效，或本机时钟有误。",
    ),
    explanation: words("Its validity begins in the future.", "证书的有效期还没有开始。"),
    browsers: connectionError("ERR_CERT_DATE_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend(
        "certificate",
        "Set the clock right; else have a certificate made that is valid now.",
        "校准时钟；否则重新签发。",
        "timedatectl set-ntp true",
      ),
    ],
    confirm: words("date; and the dates of the certificate as below.", "date，并与下面证书的日期对照。"),
    recognise: certificateFault("not-yet-valid", 0.98),
  },
  {
    id: "certificate-chain-incomplete",
    severity: "sick",
    title: words(
      "The server does not send the intermediate certificate, so clients cannot find the way to an authority they know.",
      "服务器没有发送中间证书，客户端无法连到它信任的根证书。",
    ),
    explanation: words(
      "Browsers on a desktop often fetch or remember the missing one, so it works there; phones, apps and libraries fail.",
      "桌面浏览器常能自行补全，所以看似正常；手机、应用和库会失败。",
    ),
    browsers: connectionError("ERR_CERT_AUTHORITY_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend(
        "nginx",
        "The full chain: the server's certificate first, then the intermediates.",
        "使用完整链：先是服务器证书，再是中间证书。",
        "ssl_certificate /etc/letsencrypt/live/{host}/fullchain.pem;   # not cert.pem",
      ),
      mend(
        "haproxy",
        "Certificate, intermediates and key in one file.",
        "证书、中间证书和私钥放在一个文件里。",
        "cat cert.pem chain.pem privkey.pem > both.pem",
      ),
      mend(
        "apache",
        "As in nginx.",
        "同 nginx。",
        "SSLCertificateFile /etc/letsencrypt/live/{host}/fullchain.pem",
      ),
    ],
    confirm: words(
      "openssl s_client -connect {host}:{port} -servername {host} -showcerts </dev/null shows one certificate only.",
      "openssl s_client -connect {host}:{port} -servername {host} -showcerts </dev/null 只显示一张证书。",
    ),
    recognise: certificateFault("incomplete-chain", 0.9),
  },
  {
    id: "certificate-self-signed",
    severity: "sick",
    title: words("The certificate is signed by itself, and nobody trusts it.", "证书是自签名的，不受信任。"),
    explanation: words(
      "A browser shows a warning for a page, but fails a WebSocket without one.",
      "对页面浏览器会给出警告，对 WebSocket 则直接失败。",
    ),
    browsers: connectionError("ERR_CERT_AUTHORITY_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend(
        "certificate",
        "Take one of a public authority; for development, one of an authority that your machine trusts.",
        "使用公共机构的证书；开发时使用本机信任的证书机构。",
        "certbot --nginx -d {host}\nmkcert -install && mkcert {host}",
      ),
      mend(
        "client",
        "For the moment: open https://{authority}/ in the browser and accept the warning; the WebSocket then works until the browser forgets it.",
        "临时办法：在浏览器里打开 https://{authority}/ 并接受警告。",
      ),
    ],
    confirm: words("Subject and issuer of the certificate are the same.", "证书的主体与签发者相同。"),
    recognise: certificateFault("self-signed", 0.97),
  },
  {
    id: "certificate-authority-unknown",
    severity: "sick",
    title: words(
      "The certificate comes from an authority that is not trusted here.",
      "证书由不受信任的机构签发。",
    ),
    explanation: words(
      "It is a company's own authority, a proxy that looks into TLS, or an intermediate certificate is missing.",
      "可能是公司自己的证书机构、解密 TLS 的代理，或缺少中间证书。",
    ),
    browsers: connectionError("ERR_CERT_AUTHORITY_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend(
        "certificate",
        "Install the authority on the clients, or take a certificate of a public one. With --ca FILE the doctor trusts it, too.",
        "在客户端安装该机构证书，或使用公共机构的证书。用 --ca FILE 可让本工具也信任它。",
        "wsgate doctor {url} --ca company-root.pem",
      ),
    ],
    confirm: words("Look at the issuer: is it one of yours?", "看签发者：是你们自己的吗？"),
    recognise: certificateFault("untrusted-authority", 0.93),
  },
  {
    id: "certificate-refused",
    severity: "sick",
    title: words("The server's certificate does not pass verification.", "服务器的证书未通过验证。"),
    explanation: words(
      "Its name, its dates and its authority are in order, and still it may not be used: the key or the signature is too weak, it was made for something else than a server, or one of its rules is broken.",
      "名字、有效期和签发机构都没有问题，但仍然不能使用：密钥或签名太弱、不是为服务器签发的，或违反了证书中的某条规则。",
    ),
    browsers: connectionError("ERR_CERT_INVALID", CERTIFICATE_INVALID),
    mends: [
      mend(
        "certificate",
        "Have it made anew: for servers, with an RSA key of 2048 bits or an EC key, signed with SHA-256.",
        "重新签发：用途为服务器，RSA 密钥至少 2048 位或使用 EC 密钥，签名用 SHA-256。",
        `openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr \\
    -subj /CN={host} -addext subjectAltName={san} -addext extendedKeyUsage=serverAuth`,
      ),
    ],
    confirm: words(
      'openssl s_client -connect {host}:{port} -servername {host} </dev/null ends with "Verify return code" and the reason.',
      "openssl s_client -connect {host}:{port} -servername {host} </dev/null 的末尾 “Verify return code” 写明原因。",
    ),
    recognise: (subject) => {
      const finding = certificateFault("other", 0.9)(subject);
      const reason = REASONS[subject.front.tls?.verifyError ?? ""];
      const host = subject.front.url.target?.host ?? "HOST";
      if (finding === null) return null;
      return {
        certainty: finding.certainty,
        support: reason === undefined ? finding.support : [reason, ...finding.support],
        values: { san: isIP(host) === 0 ? `DNS:${host}` : `IP:${host}` },
      };
    },
  },
];
