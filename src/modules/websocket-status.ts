import { handlerScope } from "../compile/handlers.ts";
import type { Module } from "../compile/module.ts";
import { type Outcome, PENDING } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import { one, settingsAt } from "../compile/rows.ts";
import { custom } from "../compile/values.ts";
import { readServerCounts } from "../observe/server-counts.ts";
import type { TunnelCountsSnapshot } from "../observe/tunnel-counts.ts";
import { prometheusText, tunnelMetricsJson } from "../observe/tunnel-metrics.ts";

type Format = "prometheus" | "json";

const rows = {
  websocket_status: one({
    in: ["server", "location"],
    type: custom<Format>("[prometheus | json]", [0, 1], ([word], check) => {
      const format = word?.text ?? "prometheus";
      if (format === "prometheus" || format === "json") return format;
      check.error(word?.span ?? null, `invalid value "${format}"`, {
        code: "invalid-value",
        notes: [{ message: 'one of "prometheus" and "json" may stand here' }],
      });
      return undefined;
    }),
    default: null,
    defaultText: "",
    inherit: "none",
    isHandler: true,
    nginx: false,
    doc: "Answers with what has become of tunnels, in all workers together: see METRICS.md. The names of users and addresses are not in it, yet it is nobody's business: guard the location.",
  }),
} as const;

async function answerLater(request: Request, format: Format): Promise<void> {
  const { tunnels } = await readServerCounts();
  if (!request.isFinished) request.resume(answer(format, tunnels));
}

function answer(format: Format, counts: TunnelCountsSnapshot): Outcome {
  const isJson = format === "json";
  return {
    kind: "answer",
    status: 200,
    body: isJson ? tunnelMetricsJson(counts) : prometheusText(counts),
    contentType: isJson ? "application/json" : "text/plain; version=0.0.4; charset=utf-8",
    headers: [["Cache-Control", "no-store"]],
  };
}

/** The numbers of tunnels, for monitors. */
export const websocketStatusModule: Module = {
  name: "wsgate_websocket_status_module",
  directives: rows,
  location(scope) {
    const level = handlerScope(scope, rows.websocket_status);
    const format = level === null ? null : settingsAt(rows, level).websocket_status;
    if (format === null) return {};
    return {
      content(request) {
        if (request.method !== "GET" && request.method !== "HEAD") return { kind: "status", status: 405 };
        void answerLater(request, format);
        return PENDING;
      },
    };
  },
};
