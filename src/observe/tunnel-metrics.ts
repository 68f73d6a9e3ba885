import { type Counts, openTunnels, type TunnelCountsSnapshot } from "./tunnel-counts.ts";

/** A metric as a row: everything that showing and documenting it needs. */
export interface TunnelMetric {
  /** As Prometheus has it. */
  readonly name: string;
  /** As the JSON has it. */
  readonly key: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** Names of the labels, in the order in which the counts are named. */
  readonly labels: readonly string[];
  readonly read: (counts: TunnelCountsSnapshot) => number | Counts;
}

export const TUNNEL_METRICS: readonly TunnelMetric[] = [
  {
    name: "wsgate_tunnels_opened_total",
    key: "opened",
    type: "counter",
    help: "Tunnels opened.",
    labels: [],
    read: ({ opened }) => opened,
  },
  {
    name: "wsgate_tunnels_open",
    key: "open",
    type: "gauge",
    help: "Tunnels open now.",
    labels: [],
    read: openTunnels,
  },
  {
    name: "wsgate_tunnels_ended_total",
    key: "ended",
    type: "counter",
    help: "Tunnels ended, by who ended them ($websocket_ended_by) and why ($websocket_end, or worker-crash).",
    labels: ["ended_by", "reason"],
    read: ({ ended }) => ended,
  },
  {
    name: "wsgate_handshakes_refused_total",
    key: "refused",
    type: "counter",
    help: "Opening handshakes of WebSockets that came to nothing, by whose fault it was (proxy: its configuration, or a drain) and by which rule; status-403 and the like: the upstream has answered so; no-answer, timeout: it has not answered.",
    labels: ["fault", "rule"],
    read: ({ refused }) => refused,
  },
  {
    name: "wsgate_tunnel_messages_total",
    key: "messages",
    type: "counter",
    help: "Whole messages, by the side that sent them.",
    labels: ["from"],
    read: ({ messages }) => messages,
  },
  {
    name: "wsgate_tunnel_bytes_total",
    key: "bytes",
    type: "counter",
    help: "Bytes received in tunnels as they were on the wire, by the side that sent them, as $websocket_bytes_in and _out have them: with websocket_compression offload compressed from clients and plain from upstreams. What is sent to a client stands in $bytes_sent.",
    labels: ["from"],
    read: ({ bytes }) => bytes,
  },
  {
    name: "wsgate_pings_sent_total",
    key: "pings",
    type: "counter",
    help: "Pings that wsgate has sent, by the side that got them.",
    labels: ["to"],
    read: ({ pings }) => pings,
  },
  {
    name: "wsgate_close_frames_sent_total",
    key: "close_frames",
    type: "counter",
    help: "Close frames that wsgate itself has sent, by the side that got them, and their code.",
    labels: ["to", "code"],
    read: ({ closes }) => closes,
  },
];

/** Prometheus' text format, version 0.0.4. */
export function prometheusText(counts: TunnelCountsSnapshot): string {
  return TUNNEL_METRICS.map((metric) => {
    const samples = samplesOf(metric, counts).map(
      ({ labels, value }) => `${metric.name}${labelText(labels)} ${value}\n`,
    );
    const head = `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n`;
    return head + samples.join("");
  }).join("");
}

/** Numbers by key; lists of `{label…, count}` where there are labels. */
export function tunnelMetricsJson(counts: TunnelCountsSnapshot): string {
  const entries = TUNNEL_METRICS.map((metric) => {
    const samples = samplesOf(metric, counts);
    const value =
      metric.labels.length === 0
        ? samples[0]?.value
        : samples.map(({ labels, value: count }) => ({ ...Object.fromEntries(labels), count }));
    return [metric.key, value] as const;
  });
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

interface Sample {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
}

function samplesOf(metric: TunnelMetric, counts: TunnelCountsSnapshot): readonly Sample[] {
  const read = metric.read(counts);
  if (typeof read === "number") return [{ labels: [], value: read }];
  return Object.entries(read)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => {
      const values = name.split(" ");
      return { labels: metric.labels.map((label, index) => [label, values[index] ?? ""] as const), value };
    });
}

function labelText(labels: Sample["labels"]): string {
  if (labels.length === 0) return "";
  return `{${labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/"/g, '\\"');
}

function escapeHelp(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
}
