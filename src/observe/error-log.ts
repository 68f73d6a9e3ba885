import type { LogFile } from "./log-file.ts";

/** nginx's levels, gravest first. */
export const LOG_LEVELS = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const RANK: Readonly<Record<LogLevel, number>> = {
  emerg: 1,
  alert: 2,
  crit: 3,
  error: 4,
  warn: 5,
  notice: 6,
  info: 7,
  debug: 8,
};

interface Target {
  readonly file: LogFile;
  readonly level: LogLevel;
}

/** The error logs that are in force on one level of the configuration: each with its own least grave level. */
export class ErrorLog {
  readonly targets: readonly Target[];
  private readonly rankMax: number;

  constructor(targets: readonly Target[]) {
    this.targets = targets;
    this.rankMax = targets.reduce((rank, target) => Math.max(rank, RANK[target.level]), 0);
  }

  /** True when a line of this level would be written anywhere: ask before building an expensive message. */
  logs(level: LogLevel): boolean {
    return RANK[level] <= this.rankMax;
  }

  /** Writes one line in nginx's format: `2026/11/21 09:00:00 [error] 4711#4711: message`. */
  write(level: LogLevel, message: string): void {
    if (!this.logs(level)) return;
    const line = `${localTimestamp(new Date())} [${level}] ${process.pid}#${process.pid}: ${message}\n`;
    for (const target of this.targets) {
      if (RANK[level] <= RANK[target.level]) target.file.write(line);
    }
  }
}

function localTimestamp(date: Date): string {
  const two = (value: number): string => (value < 10 ? `0${value}` : String(value));
  const day = `${date.getFullYear()}/${two(date.getMonth() + 1)}/${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
