// docs/HOW_TUNNELS_END.md from the table that test/ends.test.ts goes by.
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

/** @typedef {import("../test/ends/rows.ts").EndRow} End */
/** @typedef {import("../test/ends/rows.ts").Seen} Seen */

const INTRO = `# How tunnels end

<!-- Made by scripts/how-tunnels-end.mjs from test/ends/table.ts. Do not edit: run \`npm run docs\`. -->

A browser that loses its WebSocket without a Close frame reports 1006, and nobody knows why. Here is, for every way in which a
tunnel can end, what each side gets that still lives, and what the logs say. Each row is a test, over each front by which a
client can come (ws, wss, and HTTP/2 with and without TLS); a row that only one of them has says so.

- **gets**: the Close frame (code and reason, as a page's \`CloseEvent\` shows them), then how the connection ends: FIN, or RST; over
  HTTP/2 these are END_STREAM and RST_STREAM. *Cut* means that it ends inside a frame, where nobody can say anything.
- **access log**: \`$websocket_ended_by\` and \`$websocket_end\`, then \`$websocket_close_code\` and \`$websocket_close_reason\`: those of the
  first Close frame that a side has sent, else of the one that wsgate has sent, to the client if it still lived; the reason
  is left out here where a side got the same. \`$status\` is 101, over HTTP/2 200.
  The counter that rises is that of [\`wsgate_tunnels_ended_total\`](METRICS.md) with the same two words.
- **error log**: the line's level and text; it ends, like nginx's, in what was being done and for whom.
`;

/** The table, compiled on the fly. */
async function loadTable() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("../test/ends/table.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    logLevel: "error",
  });
  const text = outputFiles[0]?.text ?? "";
  return import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`);
}

export async function howTunnelsEnd() {
  /** @type {typeof import("../test/ends/table.ts")} */
  const { ENDS, OPENINGS } = await loadTable();
  const lines = [INTRO];
  for (const { title, intro, ends } of ENDS) {
    lines.push(
      `## ${title}`,
      "",
      intro,
      "",
      "| what happens | the client gets | the upstream gets | access log | error log |",
      "|---|---|---|---|---|",
      ...ends.map(row),
      "",
    );
  }
  lines.push(...openingLines(OPENINGS));
  return `${lines.join("\n").trimEnd()}\n`;
}

/** @param {readonly import("../test/ends/rows.ts").OpeningEnd[]} openings */
function openingLines(openings) {
  return [
    "## Before there is a tunnel",
    "",
    "What a client of HTTP gets instead of 101 (200 over HTTP/2). A page is told none of it: its `WebSocket` closes with 1006 without having",
    "been open, and only the browser's console shows the status. The access log has the status and no `$websocket_ended_by`; the counter is",
    "that of [`wsgate_handshakes_refused_total`](METRICS.md).",
    "",
    "| what happens | the client gets | counter: fault, rule | error log |",
    "|---|---|---|---|",
    ...openings.map(
      ({ what, status, fault, rule, log }) =>
        `| ${what} | ${status} | \`${fault}\`, \`${rule}\` | ${log === null ? "" : `${log[0]}: ${log[1].trim()}${log[1].endsWith(" ") ? " …" : ""}`} |`,
    ),
  ];
}

/** @param {End} end */
function row(end) {
  const { what, settings, fronts, endedBy, code, reason, log } = end;
  const where = fronts === undefined ? "" : ` (over ${fronts.join(", ")})`;
  const by = settings === undefined ? "" : `: \`${settings}\``;
  const isTold = [end.client, end.upstream].some((seen) => seen?.close?.[1] === reason);
  const access =
    endedBy === null
      ? "no line"
      : `\`${endedBy} ${end.end}\` ${code === null ? "`-`" : said(code, isTold ? "" : reason)}`;
  const error = log === null ? "" : `${log[0]}: ${log[1]}`;
  const cells = [`${what}${by}${where}`, gets(end, "client"), gets(end, "upstream"), access, error];
  return `| ${cells.join(" | ")} |`;
}

/**
 * @param {End} end
 * @param {"client" | "upstream"} side
 */
function gets(end, side) {
  const seen = end[side];
  if (seen === null) return end.gone === side ? "(gone)" : "nothing";
  if (seen.isCut === true) return `cut: ${seen.last}`;
  return seen.close === null ? seen.last : `${said(...seen.close)}, ${seen.last}`;
}

/**
 * @param {number} code
 * @param {string} reason
 */
function said(code, reason) {
  return reason === "" ? `${code}` : `${code} “${reason}”`;
}
