// Writes docs/DIRECTIVES.md, docs/VARIABLES.md, docs/ERRORS.md, docs/METRICS.md, docs/LINT.md and docs/DOCTOR.md from
// the rows of the program, and docs/HOW_TUNNELS_END.md from the table that its test goes by; or with --check says which are stale.
// Needs dist/: run `npm run build` first.
import { readFileSync, writeFileSync } from "node:fs";
import { rulesPage } from "../dist/doctor/lint/explain-rule.js";
import { rules } from "../dist/doctor/lint/rules/index.js";
import { DOCTOR_USAGE } from "../dist/cli/doctor-flags.js";
import { illnessesPage } from "../dist/doctor/report/page.js";
import { ILLNESSES } from "../dist/doctor/verdict/verdict.js";
import { howTunnelsEnd } from "./how-tunnels-end.mjs";
import { modules } from "../dist/modules/index.js";
import { HEAD_RULES } from "../dist/http/head-error.js";
import { TUNNEL_METRICS } from "../dist/observe/tunnel-metrics.js";

/** @param {string} text */
const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ");
/** @param {string} text */
const code = (text) => (text === "" ? "" : `\`${text.replaceAll("|", "\\|")}\``);

const GENERATED =
  "<!-- Made by scripts/reference.mjs from the rows of src/modules. Do not edit: run `npm run docs`. -->";

function directives() {
  const lines = [
    "# Directives",
    "",
    GENERATED,
    "",
    "Every directive that wsgate knows, by module, in the order in which modules run. What nginx has and this list has not is",
    "refused by name. *Inheritance*: `nearest`, the value of the closest level that has one; `list`, the whole list of the",
    "closest level that has an entry; `none`, its own level only. Directives marked **wsgate** are unknown to nginx; those",
    "*without effect* are accepted and checked, and mean nothing here.",
  ];
  for (const module of modules) {
    const rows = Object.entries(module.directives);
    if (rows.length === 0) continue;
    lines.push(
      "",
      `## ${module.name}`,
      "",
      "| directive | arguments | default | contexts | inheritance | meaning |",
      "|---|---|---|---|---|---|",
    );
    for (const [name, row] of rows.sort(([a], [b]) => (a < b ? -1 : 1))) {
      const marks = `${row.nginx ? "" : "**wsgate** "}${row.effect ? "" : "*without effect* "}`;
      lines.push(
        `| ${code(name)} | ${code(row.syntax)} | ${code(defaultOf(row))} | ${row.in.join(", ")} | ${row.inherit} | ${marks}${cell(row.doc)} |`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** @param {{ defaultText: string | null, default: unknown }} row */
function defaultOf(row) {
  if (row.defaultText !== null) return row.defaultText;
  const value = row.default;
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "string" || typeof value === "number") return String(value);
  return "";
}

function variables() {
  const lines = [
    "# Variables",
    "",
    GENERATED,
    "",
    "Every built-in variable by module. A name that ends in `…` is a family. *Known from*: the part of a request's life from",
    "which on it has a value.",
  ];
  for (const module of modules) {
    const rows = module.variables ?? [];
    if (rows.length === 0) continue;
    lines.push("", `## ${module.name}`, "", "| variable | known from | meaning |", "|---|---|---|");
    for (const row of [...rows].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const mark = row.nginx ? "" : "**wsgate** ";
      lines.push(
        `| ${code(`$${row.name}${row.family ? "…" : ""}`)} | ${row.from} | ${mark}${cell(row.doc)} |`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

function errors() {
  const lines = [
    "# Requests that are refused",
    "",
    GENERATED,
    "",
    "Rules that a request head must keep. A head that breaks one is answered with the status, logged at level info, and the",
    "connection is closed; nothing of it is passed on. From an upstream, the same is a 502.",
    "",
    "| rule | status | message |",
    "|---|---|---|",
  ];
  for (const [rule, { status, message }] of Object.entries(HEAD_RULES)) {
    lines.push(`| ${code(rule)} | ${status} | ${cell(message)} |`);
  }
  return `${lines.join("\n")}\n`;
}

function metrics() {
  const lines = [
    "# Metrics",
    "",
    GENERATED.replace("src/modules", "src/observe/tunnel-metrics.ts"),
    "",
    "What `websocket_status;` answers with, in Prometheus' text format, and `websocket_status json;` as JSON:",
    "",
    "```nginx",
    "server {",
    "    listen 127.0.0.1:9090;    # for nobody but this machine",
    "    location = /tunnels { websocket_status; }",
    "}",
    "```",
    "",
    "The numbers are those of all workers together, as of now, since the start of the main process; a reload changes nothing.",
    "Of a worker that crashes they are at most a second old, and what it had open has ended with the reason `worker-crash`.",
    "Tunnels opened are always the sum of those ended, by whomever and for whatever reason, and those open. Messages are those",
    "of WebSockets; tunnels and bytes also those of other protocols. A series is there once it has been counted. Which way of",
    "ending has which labels stands in [HOW_TUNNELS_END.md](HOW_TUNNELS_END.md), in the column of the access log.",
    "",
    "| metric | labels | JSON | type | meaning |",
    "|---|---|---|---|---|",
  ];
  for (const { name, key, type, help, labels } of TUNNEL_METRICS) {
    lines.push(`| ${code(name)} | ${labels.map(code).join(", ")} | ${code(key)} | ${type} | ${cell(help)} |`);
  }
  return `${lines.join("\n")}\n`;
}

const pages = {
  "DIRECTIVES.md": directives(),
  "VARIABLES.md": variables(),
  "ERRORS.md": errors(),
  "HOW_TUNNELS_END.md": await howTunnelsEnd(),
  "METRICS.md": metrics(),
  "DOCTOR.md": illnessesPage(ILLNESSES, DOCTOR_USAGE, GENERATED.replace("src/modules", "src/doctor/verdict")),
  "LINT.md": rulesPage(rules, GENERATED.replace("src/modules", "src/doctor/lint/rules")),
};
let stale = 0;
for (const [name, text] of Object.entries(pages)) {
  const file = new URL(`../docs/${name}`, import.meta.url);
  if (!process.argv.includes("--check")) {
    writeFileSync(file, text);
    continue;
  }
  let present = "";
  try {
    present = readFileSync(file, "utf8");
  } catch {
    // A page that is not there is stale.
  }
  if (present === text) continue;
  stale++;
  console.error(`docs/${name} is stale: run "npm run build && npm run docs"`);
}
process.exitCode = stale > 0 ? 1 : 0;
