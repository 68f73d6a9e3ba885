/** What stands between a browser and `wss`. */
import { isIP } from "node:net";
import type { Configuration, Listen, Server } from "../configuration.ts";
import { type Edit, remove, replaceSpan } from "../edits.ts";
import { placeAfter } from "../../../config/position.ts";
import { type Level, nearest, own, ownAll, valueAt } from "../levels.ts";
import { isAtLeast, type Rule } from "../rule.ts";

/** Each `listen` of each server, with its directive. */
function listensOf({ servers }: Configuration): readonly {
  server: Server;
  listen: Listen;
  directive: NonNullable<Listen["directive"]>;
}[] {
  return servers.flatMap((server) =>
    server.listens.flatMap((listen) =>
      listen.directive === null ? [] : [{ server, listen, directive: listen.directive }],
    ),
  );
}

function hasCertificate(level: Level): boolean {
  return nearest(level, "ssl_certificate") !== null || valueAt(level, "ssl_reject_handshake", "off") === "on";
}

/** \`ssl\` behind the address of a \`listen\`. */
function addSsl(directive: NonNullable<Listen["directive"]>): readonly Edit[] {
  const [address] = directive.args;
  return address === undefined ? [] : [replaceSpan(placeAfter(address.span), " ssl")];
}

const tlsPortWithoutTls: Rule = {
  name: "tls-port-without-tls",
  severity: "error",
  summary: "port 443 is listened to without TLS",
  why: 'wss and https come to port 443 with a TLS handshake, which a plain listener cannot read: browsers say ERR_SSL_PROTOCOL_ERROR, and nginx logs 400 with "\\x16\\x03\\x01".',
  check(configuration, report) {
    for (const { server, listen, directive } of listensOf(configuration)) {
      if (
        listen.port !== 443 ||
        listen.isTls ||
        directive.args.some(({ text }) => text === "http2" || text === "quic")
      )
        continue;
      report({
        span: directive.span,
        message: "a TLS handshake that comes to port 443 is not understood",
        help: "write: listen 443 ssl; with ssl_certificate and ssl_certificate_key",
        edits: hasCertificate(server.level) ? addSsl(directive) : [],
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 443; # <--
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
      good: `
server {
    listen 443 ssl;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
    },
  ],
};

const certificateUnused: Rule = {
  name: "certificate-unused",
  severity: "warning",
  summary: "a server has a certificate and no listener with TLS",
  why: "The certificate is read and never shown: wss to this server's port fails with ERR_SSL_PROTOCOL_ERROR, since the listener is plain.",
  check({ servers }, report) {
    for (const { level, listens } of servers) {
      const certificate = own(level, "ssl_certificate");
      if (certificate === null || listens.some(({ isTls, port }) => isTls || port === 443)) continue;
      report({
        span: certificate.span,
        message: "no listener of this server speaks TLS",
        help: "add ssl to the listen that is meant, as in: listen 8443 ssl;",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 8443;
    ssl_certificate     cert.pem; # <--
    ssl_certificate_key key.pem;
}`,
      good: `
server {
    listen 8443 ssl;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
    },
  ],
};

const tlsWithoutCertificate: Rule = {
  name: "tls-without-certificate",
  severity: "error",
  summary: "a listener with TLS has no certificate to show",
  why: 'nginx refuses to start (no "ssl_certificate" is defined for the "listen … ssl" directive), or ends every handshake for this name; the browser says ERR_SSL_UNRECOGNIZED_NAME_ALERT or ERR_SSL_PROTOCOL_ERROR.',
  check(configuration, report) {
    if (configuration.main.kind === "server") return;
    for (const { server, listen, directive } of listensOf(configuration)) {
      if (!listen.isTls || hasCertificate(server.level)) continue;
      // Whoever shares the address may have one for all.
      const shared = configuration.servers.some(
        (other) =>
          hasCertificate(other.level) && other.listens.some(({ address }) => address === listen.address),
      );
      if (shared || (configuration.isFragment && configuration.main.kind !== "http")) continue;
      report({
        span: directive.span,
        message: "no ssl_certificate is in force here",
        severity: configuration.isPartial ? "info" : "error",
        help: "add: ssl_certificate FILE; ssl_certificate_key FILE;",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 443 ssl; # <--
}`,
      good: `
server {
    listen 443 ssl;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
    },
  ],
};

const sslDirective: Rule = {
  name: "ssl-directive",
  severity: "error",
  summary: "ssl on makes every listener of the server one of TLS, or keeps nginx from starting",
  why: 'nginx 1.25.1 and later refuse it as an unknown directive. Before, it turns port 80 of the same server into a TLS port as well: plain ws and http get 400 "The plain HTTP request was sent to HTTPS port".',
  check({ servers }, report) {
    for (const { level, listens } of servers) {
      const directive = own(level, "ssl");
      if (directive?.args[0]?.text !== "on") continue;
      const tls = listens.filter((each) => each.port !== 80 && each.directive !== null);
      const edits = tls.flatMap((each) =>
        each.directive === null || each.directive.args.some(({ text }) => text === "ssl")
          ? []
          : addSsl(each.directive),
      );
      report({
        span: directive.span,
        message: "the directive is gone from nginx, and says nothing about which port it means",
        help: "write ssl at the listen that is meant, as in: listen 443 ssl;",
        edits: tls.length === listens.length ? [remove(directive), ...edits] : [],
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 443;
    ssl on; # <--
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
      good: `
server {
    listen 443 ssl;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
    },
  ],
};

const tlsProtocolsRefused: Rule = {
  name: "tls-protocols-refused",
  severity: "error",
  summary: "ssl_protocols has no version that browsers still speak, or one that is broken",
  why: "Browsers speak TLS 1.2 and 1.3 and nothing before (ERR_SSL_VERSION_OR_CIPHER_MISMATCH). SSL 2 and 3 can be read by whoever listens.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "ssl_protocols"))) {
      const versions = directive.args.map(({ text }) => text);
      const speaks = versions.some((version) => version === "TLSv1.2" || version === "TLSv1.3");
      const broken = versions.filter((version) => /^SSLv[23]$/.test(version));
      if (speaks && broken.length === 0) continue;
      report({
        span: directive.span,
        message: speaks
          ? `${broken.join(" and ")} can be read by others`
          : "no browser of today speaks any of these",
        severity: speaks ? "warning" : "error",
        help: "write: ssl_protocols TLSv1.2 TLSv1.3;",
        edits: [replaceSpan(directive.span, "ssl_protocols TLSv1.2 TLSv1.3;")],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
ssl_protocols SSLv3 TLSv1; # <--`,
      good: `
ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;`,
    },
  ],
};

const WEAK_CIPHERS =
  /(^|[-_+])(RC4|RC2|DES|3DES|NULL|eNULL|aNULL|ADH|AECDH|EXP|EXPORT\d*|MD5|LOW|SEED|IDEA)([-_+]|$)|^(ALL|COMPLEMENTOFALL)$/i;

const tlsCiphersWeak: Rule = {
  name: "tls-ciphers-weak",
  severity: "warning",
  summary: "ssl_ciphers allows ciphers that browsers refuse",
  why: "Where client and server have nothing else in common, the browser says ERR_SSL_VERSION_OR_CIPHER_MISMATCH; otherwise, somebody in between may bring about the weakest of them.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "ssl_ciphers"))) {
      const tokens = (directive.args[0]?.text ?? "").split(/[: ,]/).filter((token) => token !== "");
      const refused = new Set(
        tokens.filter((token) => token.startsWith("!")).map((token) => token.slice(1).toUpperCase()),
      );
      const weak = tokens.filter(
        (token) => !/^[!+@-]/.test(token) && WEAK_CIPHERS.test(token) && !refused.has(token.toUpperCase()),
      );
      const isWholeList = weak.length === 1 && /^ALL$/i.test(weak[0] ?? "") && refused.has("ANULL");
      if (weak.length === 0 || isWholeList) continue;
      const isAll = tokens.filter((token) => !/^[!+@-]/.test(token)).every((token) => weak.includes(token));
      report({
        span: directive.args[0]?.span ?? directive.span,
        message: `${weak.join(", ")} ${isAll ? "is all there is, and no browser takes it" : "should not be there"}`,
        severity: isAll ? "error" : "warning",
        help: "take the line away, or write: ssl_ciphers HIGH:!aNULL:!MD5;",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
ssl_ciphers HIGH:RC4-SHA:!aNULL; # <--`,
      good: `
ssl_ciphers HIGH:!RC4:!aNULL:!MD5;`,
    },
  ],
};

const tlsForAddress: Rule = {
  name: "tls-for-address",
  severity: "warning",
  summary: "wss is offered under an IP address",
  why: "Hardly any certificate covers an address: wss://192.0.2.1/ fails with ERR_CERT_COMMON_NAME_INVALID. A page can ask the user about it, a WebSocket cannot, and only says that it failed.",
  check({ servers }, report) {
    for (const { level, listens } of servers) {
      if (!listens.some(({ isTls }) => isTls)) continue;
      const word = ownAll(level, "server_name")
        .flatMap(({ args }) => args)
        .find(
          ({ text }) =>
            isIP(text.replace(/^\[|\]$/g, "")) !== 0 && !text.startsWith("127.") && text !== "::1",
        );
      if (word === undefined) continue;
      report({
        span: word.span,
        message: `a certificate has to cover the address ${word.text}`,
        help: "give the server a name, and have clients use it",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 443 ssl;
    server_name 192.0.2.1; # <--
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
      good: `
server {
    listen 443 ssl;
    server_name chat.example;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
    },
  ],
};

const http2WithoutTls: Rule = {
  name: "http2-without-tls",
  severity: "error",
  summary: "a plain listener speaks HTTP/2 and nothing else",
  why: "Before 1.25.1, http2 at a listen without ssl makes nginx expect HTTP/2 from the first byte. Browsers speak HTTP/2 over TLS only: pages and ws handshakes on this port get no answer. (Over TLS http2 does no harm to WebSockets: browsers open a connection of HTTP/1.1 for them.)",
  check(configuration, report, setting) {
    if (isAtLeast(setting, 1, 25, 1)) return;
    for (const { listen, directive } of listensOf(configuration)) {
      if (listen.isTls || !directive.args.some(({ text }) => text === "http2")) continue;
      report({
        span: directive.span,
        message: "ws handshakes to this port are not understood",
        help: listen.port === 443 ? "write: listen 443 ssl http2;" : "take http2 away here",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80 http2; # <--
}`,
      good: `
server {
    listen 80;
    listen 443 ssl http2;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
}`,
    },
  ],
};

const alpnWithoutHttp1: Rule = {
  name: "alpn-without-http1",
  severity: "warning",
  summary: "TLS is ended for HTTP/2 only, so that no WebSocket gets through",
  why: "A WebSocket needs HTTP/1.1, or a server that announces extended CONNECT (RFC 8441), which nginx does not. A browser that is offered nothing but h2 cannot open one.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "ssl_alpn"))) {
      const protocols = new Set(directive.args.map(({ text }) => text));
      if (!protocols.has("h2") || protocols.has("http/1.1")) continue;
      report({
        span: directive.span,
        message: "http/1.1 is not offered",
        help: "write: ssl_alpn h2 http/1.1;",
        edits: [insertWord(directive)],
      });
    }
  },
  examples: [
    {
      inside: "main",
      needs: "nginx-stream",
      bad: `
events {}
stream {
    server {
        listen 443 ssl;
        ssl_certificate     cert.pem;
        ssl_certificate_key key.pem;
        ssl_alpn h2; # <--
        proxy_pass 127.0.0.1:3000;
    }
}`,
      good: `
events {}
stream {
    server {
        listen 443 ssl;
        ssl_certificate     cert.pem;
        ssl_certificate_key key.pem;
        ssl_alpn h2 http/1.1;
        proxy_pass 127.0.0.1:3000;
    }
}`,
    },
  ],
};

function insertWord({ args, name }: NonNullable<Listen["directive"]>): Edit {
  return replaceSpan(placeAfter((args.at(-1) ?? name).span), " http/1.1");
}

export const tlsRules: readonly Rule[] = [
  tlsPortWithoutTls,
  tlsWithoutCertificate,
  certificateUnused,
  sslDirective,
  tlsProtocolsRefused,
  tlsCiphersWeak,
  tlsForAddress,
  http2WithoutTls,
  alpnWithoutHttp1,
];
