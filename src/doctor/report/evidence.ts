/** The walk as lines, step by step: what was tried, what came back, how long it took. */
import { textFromByteString } from "../../base/bytes.ts";
import type { Exchange } from "../probe/exchange.ts";
import type { TlsStep } from "../probe/tls.ts";
import type { TunnelEnd } from "../probe/tunnel.ts";
import type { Walk } from "../probe/walk.ts";
import { endWords, silenceLines } from "../verdict/illnesses/tunnel.ts";
import { verbatim, type Words, words } from "../words.ts";

export interface EvidenceStep {
  readonly name: Words;
  readonly lines: readonly Words[];
}

/** What of a body is shown. */
const BODY_CHARACTERS_MAX = 300;

export function evidenceSteps(walk: Walk): readonly EvidenceStep[] {
  const steps: EvidenceStep[] = [
    { name: words("URL", "URL"), lines: urlLines(walk) },
    { name: words("page", "页面"), lines: pageLines(walk) },
    { name: words("name", "域名"), lines: nameLines(walk) },
    { name: words("TCP", "TCP"), lines: tcpLines(walk) },
    { name: words("TLS", "TLS"), lines: tlsLines(walk) },
    { name: words("handshake", "握手"), lines: handshakeLines(walk) },
    { name: words("controls", "对照"), lines: controlLines(walk) },
    { name: words("HTTP/2", "HTTP/2"), lines: http2Lines(walk) },
    { name: words("messages", "消息"), lines: conversationLines(walk) },
    { name: words("silence", "静默"), lines: walk.silence === null ? [] : silenceLines(walk.silence) },
    { name: words("layer 4", "第 4 层"), lines: opaqueLines(walk) },
  ];
  return steps.filter(({ lines }) => lines.length > 0);
}

/** What a reader has to know before the verdict, where idle tunnels were not watched for as long as was asked for. */
export function cutShortWords({ silence }: Walk): Words | null {
  if (silence === null || silence.cutShortMs === null) return null;
  const watched = duration(silence.cutShortMs);
  const wanted = duration(silence.holdMs);
  return words(
    `The hold was cut short: idle tunnels were watched for ${watched} of ${wanted}, and what comes later is not known.`,
    `观察被提前中断：只观察了静默连接 ${watched}（共 ${wanted}），之后的情况未知。`,
  );
}

export function duration(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function urlLines({ url }: Walk): readonly Words[] {
  const { target, faults } = url;
  const where =
    target === null
      ? []
      : [verbatim(`${target.scheme}, ${target.host}, port ${target.port}, ${target.path}`)];
  return [
    verbatim(url.given),
    ...where,
    ...faults.map((fault) => words(`fault: ${fault}`, `问题：${fault}`)),
  ];
}

function pageLines({ page }: Walk): readonly Words[] {
  if (page === null) return [];
  return [
    verbatim(page.url),
    ...page.policies.map((policy) => verbatim(`Content-Security-Policy: ${policy}`)),
  ];
}

function nameLines({ names }: Walk): readonly Words[] {
  if (names === null || names.source === "literal") return [];
  const from = { literal: "", override: "--resolve", system: "system", "name-server": "--dns" }[names.source];
  const found = names.error ?? names.addresses.join(", ");
  return [
    verbatim(`${names.host} (${from}): ${found} [${duration(names.ms)}]`),
    ...(names.hostsFile.length > 0 ? [verbatim(`/etc/hosts: ${names.hostsFile.join(", ")}`)] : []),
    ...(names.dns !== null && names.source === "system" ? [verbatim(`DNS: ${names.dns.join(", ")}`)] : []),
  ];
}

function tcpLines({ tcp }: Walk): readonly Words[] {
  return (tcp?.attempts ?? []).map(({ address, port, outcome, code, ms }) =>
    verbatim(`${address} port ${port}: ${outcome}${code === "" ? "" : ` (${code})`} [${duration(ms)}]`),
  );
}

function tlsLines({ tls }: Walk): readonly Words[] {
  if (tls === null) return [];
  if (tls.outcome !== "established") {
    const bytes = tls.firstBytes === "" ? "" : `; ${JSON.stringify(tls.firstBytes.slice(0, 60))}`;
    return [verbatim(`${tls.outcome}: ${tls.detail}${bytes} [${duration(tls.ms)}]`)];
  }
  const alpn = tls.alpn === "" ? "-" : tls.alpn;
  return [
    verbatim(`${tls.protocol}, ${tls.cipher}, ALPN ${alpn} [${duration(tls.ms)}]`),
    ...tls.chain.map(({ subject, issuer, names, validTo }, index) =>
      verbatim(
        `${index}: ${subject} (${issuer}), ${validTo.slice(0, 10)}${index === 0 ? `; ${names.join(", ")}` : ""}`,
      ),
    ),
    ...(tls.faults.length > 0
      ? [
          words(`a browser refuses it: ${faultNames(tls)}`, `浏览器会拒绝：${faultNames(tls)}`),
          words("The walk goes on past the certificate.", "检查越过证书问题继续进行。"),
        ]
      : []),
  ];
}

/** What has no name of its own has OpenSSL's. */
function faultNames({ faults, verifyError }: TlsStep): string {
  return faults.map((fault) => (fault === "other" ? verifyError : fault)).join(", ");
}

function handshakeLines({ handshake }: Walk): readonly Words[] {
  if (handshake === null) return [];
  const request = handshake.request
    .trimEnd()
    .split("\r\n")
    .map((line) => verbatim(`> ${line}`));
  return [...request, ...answerLines(handshake)];
}

function answerLines({ outcome, ms }: Exchange): readonly Words[] {
  if (outcome.kind !== "answer") return [verbatim(`< ${briefOutcome(outcome)} [${duration(ms)}]`)];
  const { answer, body } = outcome;
  const text = textFromByteString(body).trim();
  const shown = text.length > BODY_CHARACTERS_MAX ? `${text.slice(0, BODY_CHARACTERS_MAX)}…` : text;
  return [
    verbatim(`< HTTP/1.${answer.versionMinor} ${answer.status} ${answer.reason} [${duration(ms)}]`),
    ...answer.headers.map(([name, value]) => verbatim(`< ${name}: ${textFromByteString(value)}`)),
    ...(shown === "" ? [] : shown.split(/\r?\n/).map((line) => verbatim(`| ${line}`))),
  ];
}

function briefOutcome(outcome: Exchange["outcome"]): string {
  switch (outcome.kind) {
    case "answer":
      return `${outcome.answer.status} ${outcome.answer.reason}`.trim();
    case "not-http":
      return `no HTTP (${outcome.rule}): ${JSON.stringify(outcome.bytes.slice(0, 60))}`;
    case "ended":
      return `ended (${outcome.detail === "" ? outcome.ending : outcome.detail}) after ${outcome.bytes} bytes`;
    case "timeout":
      return "no answer in time";
    case "unconnected":
      return `no connection (${outcome.code})`;
  }
}

function controlLines({ controls }: Walk): readonly Words[] {
  return controls.map(({ name, exchange }) =>
    verbatim(`${name}: ${briefOutcome(exchange.outcome)} [${duration(exchange.ms)}]`),
  );
}

function http2Lines({ http2 }: Walk): readonly Words[] {
  if (http2 === null) return [];
  if (!http2.offersConnect && http2.error !== "")
    return [verbatim(`h2: ${http2.error} [${duration(http2.ms)}]`)];
  if (!http2.offersConnect)
    return [
      words(
        "h2 without WebSockets (RFC 8441): browsers use HTTP/1.1",
        "h2 不支持 WebSocket（RFC 8441）：浏览器会用 HTTP/1.1",
      ),
    ];
  return [verbatim(`CONNECT :protocol websocket: ${http2.status ?? http2.error} [${duration(http2.ms)}]`)];
}

function conversationLines({ conversation }: Walk): readonly Words[] {
  if (conversation === null) return [];
  const { earlyEnd, endAfterPing, endAfterText, pingMs, text, sizes, compresses, compressedEcho } =
    conversation;
  if (earlyEnd !== null) return [saidWith(words("before anything was sent", "尚未发送任何内容"), earlyEnd)];
  const lines = [
    pingMs === null ? words("ping: no pong", "ping：没有 pong") : verbatim(`ping: ${duration(pingMs)}`),
    verbatim(
      `permessage-deflate: ${compresses ? "yes" : "no"}${compressedEcho === null ? "" : `, ${compressedEcho ? "works" : "broken"}`}`,
    ),
  ];
  if (endAfterPing !== null) lines.push(saidWith(words("after the ping", "ping 之后"), endAfterPing));
  if (text !== null)
    lines.push(endAfterText === null ? verbatim(`text: ${text}`) : saidWith(verbatim("text"), endAfterText));
  const largest = sizes.findLast(({ outcome }) => outcome === "echoed" || outcome === "taken");
  const failed = sizes.find(({ outcome }) => outcome === "lost" || outcome === "ended");
  if (largest !== undefined)
    lines.push(
      words(`largest message that passed: ${largest.bytes} bytes`, `通过的最大消息：${largest.bytes} 字节`),
    );
  if (failed !== undefined)
    lines.push(
      failed.end === null
        ? words(`${failed.bytes} bytes: ${failed.outcome}`, `${failed.bytes} 字节：${failed.outcome}`)
        : saidWith(words(`${failed.bytes} bytes`, `${failed.bytes} 字节`), failed.end),
    );
  return lines;
}

/** What was sent, and how that ended the tunnel. */
function saidWith(what: Words, end: TunnelEnd): Words {
  const how = endWords(end);
  return words(`${what.en}: ${how.en}`, `${what.zh}：${how.zh}`);
}

function opaqueLines({ opaque }: Walk): readonly Words[] {
  if (opaque === null) return [];
  return [
    words(
      `the handshake in disguise: ${briefOutcome(opaque.disguised.outcome)}`,
      `伪装的握手：${briefOutcome(opaque.disguised.outcome)}`,
    ),
    words(`as many bytes of no protocol: ${opaque.noise}`, `同样长度的无协议字节：${opaque.noise}`),
  ];
}
