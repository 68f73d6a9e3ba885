const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

interface Formatted {
  readonly second: number;
  readonly text: string;
}

let lastLocal: Formatted = { second: -1, text: "" };
let lastIso: Formatted = { second: -1, text: "" };

/** `21/Nov/2026:09:00:00 +0100`, made once a second. */
export function localTime(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== lastLocal.second) lastLocal = { second, text: makeLocal(new Date(nowMs)) };
  return lastLocal.text;
}

/** `2026-11-21T09:00:00+01:00`, made once a second; with milliseconds if asked for. */
export function iso8601(nowMs: number, withMs = false): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== lastIso.second) lastIso = { second, text: makeIso(new Date(nowMs)) };
  if (!withMs) return lastIso.text;
  const fraction = String(nowMs % 1000).padStart(3, "0");
  return `${lastIso.text.slice(0, 19)}.${fraction}${lastIso.text.slice(19)}`;
}

function makeLocal(date: Date): string {
  const day = `${two(date.getDate())}/${MONTHS[date.getMonth()] ?? ""}/${date.getFullYear()}`;
  return `${day}:${clock(date)} ${zone(date, "")}`;
}

function makeIso(date: Date): string {
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${clock(date)}${zone(date, ":")}`;
}

function clock(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function zone(date: Date, separator: string): string {
  const minutes = -date.getTimezoneOffset();
  const absolute = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(absolute / 60))}${separator}${two(absolute % 60)}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
