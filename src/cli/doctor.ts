/** `wsgate doctor`: says what is wrong with a WebSocket, and the line that mends it. */
import { type Diagnosis, diagnose } from "../doctor/diagnose.ts";
import type { Stage } from "../doctor/probe/walk.ts";
import { jsonReport } from "../doctor/report/json.ts";
import { markdownReport } from "../doctor/report/markdown.ts";
import { redactor } from "../doctor/report/redact.ts";
import { textReport } from "../doctor/report/text.ts";
import type { Verdict } from "../doctor/verdict/illness.ts";
import { type Language, type Words, words } from "../doctor/words.ts";
import { DOCTOR_USAGE, type DoctorCommand, readDoctorCommand } from "./doctor-flags.ts";
import { EXIT_INTERRUPTED } from "./exit-codes.ts";

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
  const diagnosis = await diagnoseInterruptibly(command);
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

/** Ctrl-C while idle tunnels are watched is the end of the wait alone; otherwise, and the second time, of everything. */
async function diagnoseInterruptibly({ diagnose: options, language }: DoctorCommand): Promise<Diagnosis> {
  const progress = showProgress(language, options.front.holdMs);
  const hurry = new AbortController();
  let stage: Stage | null = null;
  const onInterrupt = (): void => {
    if (stage === "silence" && !hurry.signal.aborted) return hurry.abort();
    progress.end();
    process.exit(EXIT_INTERRUPTED);
  };
  process.on("SIGINT", onInterrupt);
  try {
    return await diagnose(options, {
      hurry: hurry.signal,
      onStage(next) {
        stage = next;
        progress.onStage(next);
      },
    });
  } finally {
    progress.end();
    process.off("SIGINT", onInterrupt);
  }
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

interface Progress {
  onStage(stage: Stage): void;
  end(): void;
}

/** One line on a terminal, and nothing anywhere else. */
function showProgress(language: Language, holdMs: number): Progress {
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
