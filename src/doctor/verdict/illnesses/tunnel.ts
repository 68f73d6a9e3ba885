/** The WebSocket opens, and then something is wrong with it. */
import type { ConversationStep } from "../../probe/conversation.ts";
import type { SilenceStep, Watched } from "../../probe/silence.ts";
import type { TunnelEnd } from "../../probe/tunnel.ts";
import type { Walk } from "../../probe/walk.ts";
import { verbatim, type Words, words } from "../../words.ts";
import { ABNORMAL_CLOSE, NOTHING_SAID } from "../browsers.ts";
import { found } from "../facts.ts";
import type { Case, Finding, Illness } from "../illness.ts";
import { KEEP_IT_ALIVE, mend } from "../mends.ts";

function seconds(ms: number): string {
  return (ms / 1000).toFixed(ms < 10_000 ? 1 : 0);
}

export function endWords(end: TunnelEnd): Words {
  const after = seconds(end.ms);
  if (end.by === "close-frame") {
    const code = `${end.code ?? 1005}${end.reason === "" ? "" : ` "${end.reason}"`}`;
    return words(`Close frame ${code} after ${after} s`, `${after} 秒后收到 Close 帧 ${code}`);
  }
  const how = { fin: "FIN", reset: "RST", error: "an error" }[end.by];
  return words(`${how} without a Close frame after ${after} s`, `${after} 秒后 ${how}，没有 Close 帧`);
}

function watchedLine(name: Words, { end, livedMs, serverPings }: Watched): Words {
  const lived = seconds(livedMs);
  const pings = serverPings === 0 ? "" : `, ${serverPings} pings`;
  if (end === null)
    return words(`${name.en}: alive after ${lived} s${pings}`, `${name.zh}：${lived} 秒后仍然存活${pings}`);
  const how = endWords(end);
  return words(`${name.en}: ${how.en}${pings}`, `${name.zh}：${how.zh}${pings}`);
}

export function silenceLines({ silent, pinging }: SilenceStep): readonly Words[] {
  return [
    watchedLine(words("silent tunnel", "静默的连接"), silent),
    watchedLine(
      words(
        `tunnel that pings (${pinging.pongsReceived} of ${pinging.pingsSent} answered)`,
        `发送 ping 的连接（${pinging.pingsSent} 次中有 ${pinging.pongsReceived} 次应答）`,
      ),
      pinging,
    ),
  ];
}

/** Both ends came at the same time, as far as one can tell. */
function endedTogether({ silent, pinging }: SilenceStep): boolean {
  if (silent.end === null || pinging.end === null) return false;
  const later = Math.max(silent.livedMs, pinging.livedMs);
  return Math.abs(silent.livedMs - pinging.livedMs) <= Math.max(300, later / 5);
}

function pongsAreMissing({ conversation, silence }: Walk): boolean {
  if (conversation !== null && conversation.pingMs !== null) return false;
  return conversation !== null || (silence !== null && silence.pinging.pongsReceived === 0);
}

function hasEnded({ earlyEnd, endAfterPing }: ConversationStep): boolean {
  return earlyEnd !== null || endAfterPing !== null;
}

function timeValues(ms: number): Readonly<Record<string, string>> {
  return { seconds: seconds(ms), half: seconds(ms / 2) };
}

function recogniseIdleCut({ front }: Case): Finding | null {
  const { silence } = front;
  if (silence === null || silence.silent.end === null || endedTogether(silence)) return null;
  if (silence.pinging.end !== null && silence.pinging.livedMs <= silence.silent.livedMs) return null;
  return {
    ...found(
      0.97,
      ...silenceLines(silence),
      words("Pings keep it alive: it is the silence that ends it.", "发送 ping 就能保持：断开的原因是静默。"),
    ),
    values: timeValues(silence.silent.livedMs),
  };
}

function recogniseLifetime({ front }: Case): Finding | null {
  const { silence } = front;
  if (silence === null || !endedTogether(silence)) return null;
  return {
    ...found(pongsAreMissing(front) ? 0.6 : 0.95, ...silenceLines(silence)),
    values: timeValues(silence.silent.livedMs),
  };
}

function recogniseDroppedPings({ front }: Case): Finding | null {
  const { conversation } = front;
  if (conversation === null || conversation.pingMs !== null || hasEnded(conversation)) return null;
  if (conversation.brokenRule !== null) return null;
  const isTalking = conversation.text === "echoed" || conversation.text === "answered";
  return found(
    isTalking ? 0.97 : 0.5,
    words("The ping got no pong.", "ping 没有收到 pong。"),
    isTalking ? words("A text message was answered.", "文本消息得到了回答。") : null,
  );
}

const NO_MESSAGE = { ...ABNORMAL_CLOSE, chrome: ["CloseEvent code 1006, no message in the console"] };

/** What a Close code says about the one who sends it (RFC 6455 section 7.4.1). */
const MEANING_OF_CODE: Readonly<Record<number, Words>> = {
  1000: words(
    "1000 is an ordinary end: the handler has finished, as one does that returns instead of waiting for messages.",
    "1000 是正常结束：处理函数已经返回，没有等待消息。",
  ),
  1001: words("1001: the server is going away.", "1001：服务器正在退出。"),
  1002: words("1002: it saw a fault in the protocol.", "1002：它认为协议有错。"),
  1003: words("1003: it does not take this kind of data.", "1003：它不接受这类数据。"),
  1008: words(
    "1008: a rule of the application's, mostly about credentials or origin.",
    "1008：违反应用的规则，多半是凭证或来源。",
  ),
  1011: words("1011: an exception in the application.", "1011：应用抛出异常。"),
  1012: words("1012: the server restarts.", "1012：服务器正在重启。"),
  1013: words("1013: it is overloaded; try again later.", "1013：过载，稍后再试。"),
};

export const TUNNEL_ILLNESSES: readonly Illness[] = [
  {
    id: "closed-at-once",
    severity: "sick",
    title: words(
      "The WebSocket opens and is closed at once by the other side.",
      "WebSocket 打开后立即被对方关闭。",
    ),
    explanation: words(
      "The handshake is fine; then the application (or a hop that noticed late) ends it. A Close code tells why: 1008 and 4401 and the like are a refusal after the fact, 1011 is an exception, none at all is a crash or a hop.",
      "握手没有问题，随后应用（或途中某一跳）结束了连接。Close 码说明原因：1008、4401 等是事后拒绝，1011 是异常，没有 Close 帧则是崩溃或某一跳切断。",
    ),
    browsers: NO_MESSAGE,
    mends: [
      mend(
        "application",
        "Look into its log for this moment: authentication, an exception in the connection handler.",
        "查看此刻的应用日志：认证，或连接处理函数里的异常。",
      ),
    ],
    confirm: words(
      "CloseEvent.code and CloseEvent.reason in the page.",
      "页面里的 CloseEvent.code 和 CloseEvent.reason。",
    ),
    recognise: ({ front: { conversation } }) =>
      conversation === null || conversation.earlyEnd === null
        ? null
        : found(
            0.95,
            endWords(conversation.earlyEnd),
            MEANING_OF_CODE[conversation.earlyEnd.code ?? 0] ?? null,
          ),
  },
  {
    id: "frames-broken",
    severity: "sick",
    title: words(
      "What comes through the tunnel are no valid WebSocket frames.",
      "隧道里传来的不是合法的 WebSocket 帧。",
    ),
    explanation: words(
      "A server that writes plain text or HTTP after the 101, a proxy that adds to the stream (compression, injected HTML), or a broken library.",
      "服务器在 101 之后写了纯文本或 HTTP、代理往流里添加内容（压缩、注入 HTML），或库有缺陷。",
    ),
    browsers: {
      chrome: [
        "WebSocket connection to '{url}' failed: Invalid frame header",
        "WebSocket connection to '{url}' failed: One or more reserved bits are on: reserved1 = 1, reserved2 = 0, reserved3 = 0",
        "WebSocket connection to '{url}' failed: A server must not mask any frames that it sends to the client.",
        "WebSocket connection to '{url}' failed: Could not decode a text frame as UTF-8.",
        "WebSocket connection to '{url}' failed: Unrecognized frame opcode: 3",
        "WebSocket connection to '{url}' failed: Received unexpected continuation frame.",
      ],
      firefox: ["The connection to {url} was interrupted while the page was loading."],
      safari: ["WebSocket connection to '{url}' failed: The operation couldn’t be completed. Protocol error"],
    },
    mends: [
      mend(
        "application",
        "Nothing but frames may be written after the 101: look for two handlers on one socket.",
        "101 之后只能写帧：检查是否有两个处理函数共用一个套接字。",
      ),
      mend(
        "nginx",
        "No gzip, sub_filter or the like on this location.",
        "该 location 不要使用 gzip、sub_filter 等。",
        "gzip off;",
      ),
    ],
    confirm: words(
      "wsgate doctor on the backend: is it broken there, too?",
      "对后端运行 wsgate doctor：那里也坏吗？",
    ),
    recognise: ({ front: { conversation } }) =>
      conversation === null || conversation.brokenRule === null
        ? null
        : found(0.96, verbatim(conversation.brokenRule)),
  },
  {
    id: "pings-dropped",
    severity: "sick",
    title: words(
      "Pings get no answer: a hop drops control frames, or nothing passes at all.",
      "ping 没有回应：途中丢弃了控制帧，或完全不通。",
    ),
    explanation: words(
      "Every end that conforms to RFC 6455 answers a ping with a pong. Without them no heartbeat can tell a live tunnel from a dead one, and pings do not keep it alive.",
      "符合 RFC 6455 的一端都会用 pong 回答 ping。没有它们，心跳无法判断连接死活，ping 也不能保活。",
    ),
    browsers: NOTHING_SAID,
    mends: [
      mend(
        "application",
        "Until it is mended: a heartbeat of ordinary messages in both directions.",
        "修复之前：用普通消息做双向心跳。",
        'setInterval(() => socket.readyState === 1 && socket.send(\'{"type":"ping"}\'), 20_000);',
      ),
      mend(
        "network",
        "A gateway that re-frames messages (API gateways, some firewalls) has to pass control frames on or answer them.",
        "会重新封帧的网关（API 网关、某些防火墙）必须转发或应答控制帧。",
      ),
    ],
    confirm: words("Straight to the backend the pong comes: --backend.", "直连后端能收到 pong：--backend。"),
    recognise: recogniseDroppedPings,
  },
  {
    id: "tunnel-dead",
    severity: "sick",
    title: words(
      "The 101 comes, and then nothing passes through the tunnel.",
      "收到 101 之后，隧道里没有任何数据通过。",
    ),
    explanation: words(
      "A hop that answers the handshake but does not tunnel: it buffers, or it thinks that the answer is over. Nothing that is sent is answered.",
      "某一跳回答了握手却没有建立隧道：它在缓冲，或认为回答已经结束。发送的任何内容都没有回应。",
    ),
    browsers: NOTHING_SAID,
    mends: [
      mend(
        "network",
        "Look for a hop between the two that speaks HTTP/1.0 or buffers: a virus scanner, an old balancer. wss:// hides the stream from it.",
        "寻找中间使用 HTTP/1.0 或会缓冲的设备：杀毒软件、旧负载均衡。wss:// 可以避开它。",
      ),
    ],
    confirm: words("Straight to the backend the pong comes: --backend.", "直连后端能收到 pong：--backend。"),
    recognise: ({ front: { conversation } }) => {
      if (conversation === null || conversation.pingMs !== null || conversation.earlyEnd !== null)
        return null;
      if (conversation.brokenRule !== null || conversation.text !== "silent") return null;
      return found(
        0.8,
        words("Neither a ping nor a text message was answered.", "ping 和文本消息都没有回应。"),
      );
    },
  },
  {
    id: "idle-cut",
    severity: "sick",
    title: words(
      "An idle tunnel is cut after {seconds} s; one that pings lives on.",
      "空闲的连接在 {seconds} 秒后被切断；发送 ping 的连接继续存活。",
    ),
    explanation: words(
      "A hop has an idle timeout that is shorter than the pauses between messages: 60 s in nginx (proxy_read_timeout), in Apache (Timeout) and in an AWS ALB, 100 s at Cloudflare. The page sees 1006 without a message.",
      "途中某一跳的空闲超时短于消息间隔：nginx（proxy_read_timeout）、Apache（Timeout）和 AWS ALB 是 60 秒，Cloudflare 100 秒。页面只看到没有说明的 1006。",
    ),
    browsers: NO_MESSAGE,
    mends: KEEP_IT_ALIVE,
    confirm: words(
      'In nginx\'s error log: "upstream timed out (110: Connection timed out) while proxying upgraded connection".',
      "nginx 错误日志：“upstream timed out (110: Connection timed out) while proxying upgraded connection”。",
    ),
    recognise: recogniseIdleCut,
  },
  {
    id: "lifetime-cut",
    severity: "sick",
    title: words(
      "Every tunnel is cut after {seconds} s, whether it is idle or not.",
      "无论是否空闲，连接都在 {seconds} 秒后被切断。",
    ),
    explanation: words(
      "A hop limits how long a connection may last, or counts what only one side sends: a maximum duration, a request timeout that goes on after the upgrade, a restart, an application that ends sessions or wants messages of its own as a heartbeat (Phoenix, Socket.IO).",
      "某一跳限制了连接总时长，或只统计单方向的数据：最大时长、升级后仍在计时的请求超时、重启，或应用结束会话、要求自定义的心跳消息（Phoenix、Socket.IO）。",
    ),
    browsers: NO_MESSAGE,
    mends: [
      mend(
        "application",
        "Look for a request timeout of the framework or the platform (serverless platforms have one), and let the page reconnect.",
        "检查框架或平台的请求超时（Serverless 平台都有），并让页面自动重连。",
      ),
      mend(
        "haproxy",
        "timeout tunnel, or hard-stop-after on reloads.",
        "timeout tunnel，或重载时的 hard-stop-after。",
        "timeout tunnel 1h",
      ),
      mend(
        "network",
        "GCP's load balancer: the backend service's timeout is the longest life of a WebSocket.",
        "GCP 负载均衡：后端服务的 timeout 就是 WebSocket 的最长寿命。",
        "gcloud compute backend-services update NAME --timeout=86400",
      ),
    ],
    confirm: words(
      "Repeat with a longer --hold: it ends at the same age.",
      "用更长的 --hold 再试：在同样的时长断开。",
    ),
    recognise: recogniseLifetime,
  },
  {
    id: "pings-end-it",
    severity: "sick",
    title: words(
      "The tunnel that pings is cut, the silent one lives.",
      "发送 ping 的连接被切断，静默的却存活。",
    ),
    explanation: words(
      "A hop or an application does not bear control frames of the client.",
      "某一跳或应用不能承受客户端的控制帧。",
    ),
    browsers: NO_MESSAGE,
    mends: [
      mend(
        "application",
        "Answer a ping with a pong (RFC 6455 section 5.5.2).",
        "用 pong 回答 ping（RFC 6455 5.5.2 节）。",
      ),
    ],
    confirm: words("Repeat straight to the backend.", "直连后端再试。"),
    recognise: ({ front: { conversation, silence } }) => {
      const endAfterPing = conversation?.endAfterPing ?? null;
      if (endAfterPing !== null) return found(0.93, endWords(endAfterPing));
      const isSeen = silence !== null && silence.silent.end === null && silence.pinging.end !== null;
      return isSeen ? found(0.9, ...silenceLines(silence)) : null;
    },
  },
  {
    id: "large-message-cut",
    severity: "sick",
    title: words(
      "Messages of {bytes} bytes do not pass, and no Close code says why.",
      "{bytes} 字节的消息无法通过，且没有 Close 码说明原因。",
    ),
    explanation: words(
      "Smaller ones do. A hop with a fixed buffer, or a firewall that inspects; an end with a limit would say 1009.",
      "更小的可以通过。某一跳的缓冲固定，或防火墙在检查内容；有上限的一端会用 1009 说明。",
    ),
    browsers: ABNORMAL_CLOSE,
    mends: [
      mend(
        "network",
        "Look for the hop: --backend shows whether it is the application.",
        "找出是哪一跳：--backend 可判断是否是应用。",
      ),
      mend(
        "application",
        "Raise its limit, or send in parts.",
        "调大上限，或分段发送。",
        "new WebSocketServer({ maxPayload: 16 * 1024 * 1024 })",
      ),
    ],
    confirm: words("wsgate doctor {url} --max-message BYTES", "wsgate doctor {url} --max-message 字节数"),
    recognise: ({ front: { conversation } }) => {
      const last = conversation?.sizes.at(-1);
      if (last === undefined || last.outcome === "echoed" || last.outcome === "taken") return null;
      if (last.end?.by === "close-frame") return null;
      return {
        ...found(
          0.85,
          last.end === null
            ? words("Neither it nor a ping after it was answered.", "它和之后的 ping 都没有回应。")
            : endWords(last.end),
        ),
        values: { bytes: String(last.bytes) },
      };
    },
  },
  {
    id: "message-too-big",
    severity: "note",
    title: words(
      "Messages of {bytes} bytes are refused by the other side.",
      "{bytes} 字节的消息被对方拒绝。",
    ),
    explanation: words(
      "It has a limit, and says so with a Close code (1009 for the size).",
      "对方有上限，并用 Close 码说明（大小超限是 1009）。",
    ),
    browsers: {
      chrome: ["CloseEvent code 1009"],
      firefox: ["CloseEvent code 1009"],
      safari: ["CloseEvent code 1009"],
    },
    mends: [
      mend(
        "application",
        "Raise the limit, if such messages are meant to pass.",
        "若需要发送这样的消息，请调大上限。",
        "new WebSocketServer({ maxPayload: 16 * 1024 * 1024 })",
      ),
    ],
    confirm: words("wsgate doctor {url} --max-message BYTES", "wsgate doctor {url} --max-message 字节数"),
    recognise: ({ front: { conversation } }) => {
      const last = conversation?.sizes.at(-1);
      if (last?.end?.by !== "close-frame") return null;
      return { ...found(0.95, endWords(last.end)), values: { bytes: String(last.bytes) } };
    },
  },
  {
    id: "compression-broken",
    severity: "sick",
    title: words(
      "permessage-deflate is agreed on, but a compressed message does not come through.",
      "协商了 permessage-deflate，但压缩的消息无法通过。",
    ),
    explanation: words(
      "An uncompressed one does. A hop answers for an extension that it does not pass on.",
      "未压缩的可以。某一跳同意了它并不转发的扩展。",
    ),
    browsers: ABNORMAL_CLOSE,
    mends: [
      mend(
        "application",
        "Switch compression off until the hop is found.",
        "找到原因之前先关闭压缩。",
        "new WebSocketServer({ perMessageDeflate: false })",
      ),
      mend(
        "nginx",
        "Or take the offer away.",
        "或删除协商头。",
        'proxy_set_header Sec-WebSocket-Extensions "";',
      ),
    ],
    confirm: words("Straight to the backend: --backend.", "直连后端：--backend。"),
    recognise: ({ front: { conversation } }) =>
      conversation?.compressedEcho === false
        ? found(0.8, words("The same text uncompressed was echoed.", "同样的文本不压缩时有回显。"))
        : null,
  },
];
