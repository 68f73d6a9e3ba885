/** `wsgate doctor`: says what is wrong with a WebSocket, and the line that mends it. */
import { diagnose } from "../doctor/diagnose.ts";
import type { OnStage, Stage } from "../doctor/probe/walk.ts";
import { jsonReport } from "../doctor/report/json.ts";
import { markdownReport } from "../doctor/report/markdown.ts";
import { redactor } from "../doctor/report/redact.ts";
import { textReport } from "../doctor/report/text.ts";
import type { Verdict } from "../doctor/verdict/illness.ts";
import { type Language, type Words, words } from "../doctor/words.ts";
import { DOCTOR_USAGE, type DoctorCommand, readDoctorCommand } from "./doctor-flags.ts";

const EXIT_CODES: Readonly<Record<Verdict["state"], number>> = { healthy: 0, sick: 1, unknown: 2 };
/** Resolves with the exit code. */
export async function runDoctor(argv: readonly string[]): Promise<number> {
  let command: DoctorCommand | "help";
  try {
    command = readDoctorCommand(argv);
  } catch (error) {
    process.stderr.write(`wsgate doctor: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (command === "help") {
    process.stdout.write(DOCTOR_USAGE);
    return 0;
  }
  const progress = showProgress(command.language, command.diagnose.front.holdMs);
  const diagnosis = await diagnose(command.diagnose, progress.onStage);
  progress.end();
  const { front, backend } = command.diagnose;
  const redact = redactor(backend === null ? [front] : [front, backend]);
  const { language, product } = command;
  if (command.format === "json") process.stdout.write(jsonReport(diagnosis, language, redact));
  else {
    const report = command.format === "markdown" ? markdownReport : textReport;
    process.stdout.write(redact(report(diagnosis, { language, product })));
  }
  return EXIT_CODES[diagnosis.verdict.state];
}

const STAGES: Readonly<Record<Stage, Words>> = {
  names: words("asking for addresses", "查询地址"),
  tcp: words("connecting", "建立连接"),
  tls: words("TLS", "TLS"),
  handshake: words("opening handshake", "握手"),
  controls: words("comparing with other requests", "对照其他请求"),
  conversation: words("messages and pings", "消息与 ping"),
  silence: words("watching silent tunnels", "观察静默的连接"),
};

/** One line on a terminal, and nothing anywhere else. */
function showProgress(language: Language, holdMs: number): { readonly onStage: OnStage; end(): void } {
  if (!process.stderr.isTTY) return { onStage: () => {}, end: () => {} };
  let ticker: NodeJS.Timeout | undefined;
  const write = (text: string): void => void process.stderr.write(`\r\u001b[K${text}`);
  return {
    onStage(stage) {
      clearInterval(ticker);
      const startedMs = performance.now();
      const total = stage === "silence" ? ` / ${holdMs / 1000} s` : "";
      const show = (): void => {
        const seconds = Math.floor((performance.now() - startedMs) / 1000);
        write(`… ${STAGES[stage][language]}${seconds > 0 ? ` ${seconds} s` : ""}${total}`);
      };
      show();
      ticker = setInterval(show, 1_000);
    },
    end() {
      clearInterval(ticker);
      write("");
    },
  };
}
