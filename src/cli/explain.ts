/** `wsgate explain wss://host/path -c nginx.conf`: what would become of a request, and why. */
import { parseArgs } from "node:util";
import { explain } from "../doctor/explain/explain.ts";
import { askAbout, type Question } from "../doctor/explain/question.ts";
import { renderExplanation } from "../doctor/explain/render.ts";
import { explanationToJson } from "../doctor/explain/to-json.ts";
import { formatDiagnostics } from "../process/load.ts";
import { findPlaces } from "../process/places.ts";
import { mistakeIn } from "./mistake.ts";

const USAGE = `usage: wsgate explain URL [-c FILE] [options]

  wsgate explain wss://example.org/chat -c /etc/nginx/nginx.conf

What would become of this request and why: the server and the location that take it, rewrites, the backend, every header
as it would be sent, the timeouts in force with the line that each comes from. Nothing is sent anywhere.

  -c FILE                  the configuration (default: conf/nginx.conf or nginx.conf below the prefix)
  -p PREFIX, -g DIRECTIVES as without explain
  -H, --header "Name: x"   a header of the request, in place of the browser's; without a value: none of that name
  -X, --method METHOD      the request's method (default: GET)
  --client ADDRESS         the client's address (default: 127.0.0.1)
  --listen-port PORT       the port that the proxy listens on, where it is not the one in the URL
  --json                   for programs

Exit code: 0 the request is passed on or answered below 400, 1 it is refused, 2 that cannot be told.
`;

const OPTIONS = {
  config: { type: "string", short: "c" },
  prefix: { type: "string", short: "p" },
  globals: { type: "string", short: "g" },
  header: { type: "string", short: "H", multiple: true },
  method: { type: "string", short: "X" },
  client: { type: "string" },
  "listen-port": { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

interface Wish {
  readonly question: Question;
  readonly config: string | null;
  readonly prefix: string | null;
  readonly globals: string | null;
  readonly json: boolean;
}

export async function runExplain(args: readonly string[]): Promise<number> {
  const wish = readArguments(args);
  if (wish === "help") {
    process.stdout.write(USAGE);
    return 0;
  }
  if ("mistake" in wish) {
    process.stderr.write(`wsgate explain: ${wish.mistake}\n\n${USAGE}`);
    return 2;
  }
  const places = findPlaces({ config: wish.config, prefix: wish.prefix, errorLog: null });
  const explanation = await explain(wish.question, {
    file: places.config,
    prefix: places.prefix,
    defaultErrorLog: places.errorLog,
    ...(wish.globals === null ? {} : { globalDirectives: wish.globals }),
  });
  if (explanation.kind === "refused") {
    process.stderr.write(formatDiagnostics(explanation.diagnostics, process.stderr.isTTY));
    return 2;
  }
  const text = wish.json
    ? `${JSON.stringify(explanationToJson(explanation), null, 2)}\n`
    : renderExplanation(explanation);
  process.stdout.write(text);
  if (explanation.kind === "unheard") return 1;
  const { result } = explanation;
  return result.kind === "passed" || (result.kind === "answered" && result.status < 400) ? 0 : 1;
}

function readArguments(args: readonly string[]): Wish | "help" | { readonly mistake: string } {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    return { mistake: mistakeIn(error) };
  }
  const { values, positionals } = parsed;
  if (values.help === true) return "help";
  const [url] = positionals;
  if (url === undefined || positionals.length > 1) return { mistake: "one URL is needed" };
  const port = values["listen-port"];
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535))
    return { mistake: `"${port}" is no port` };
  const asked = askAbout(url, {
    ...(values.header === undefined ? {} : { headers: values.header }),
    ...(values.method === undefined ? {} : { method: values.method }),
    ...(values.client === undefined ? {} : { clientAddress: values.client }),
    ...(port === undefined ? {} : { listenPort: Number(port) }),
  });
  if (!asked.ok) return { mistake: asked.message };
  return {
    question: asked.question,
    config: values.config ?? null,
    prefix: values.prefix ?? null,
    globals: values.globals ?? null,
    json: values.json ?? false,
  };
}
