import { execFileSync } from "node:child_process";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { parseTimeMs } from "../../base/units.ts";
import { nearestName } from "../../config/typos.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { ListenSpec } from "../../compile/module.ts";
import type { ListenAddress } from "../../compile/plan.ts";

type Options = { -readonly [Name in keyof Omit<ListenSpec, "address" | "span">]: ListenSpec[Name] };

/** Parameters of nginx that choose what the kernel or libuv decides here. */
const WITHOUT_EFFECT = [
  "setfib=",
  "fastopen=",
  "rcvbuf=",
  "sndbuf=",
  "accept_filter=",
  "deferred",
  "bind",
  "multipath",
];
const KNOWN = [
  "default_server",
  "ssl",
  "http2",
  "proxy_protocol",
  "reuseport",
  "backlog=",
  "ipv6only=",
  "so_keepalive=",
];

/** A `listen` without parameters. */
const DEFAULT_OPTIONS: Readonly<Options> = {
  ssl: false,
  http2: false,
  proxy_protocol: false,
  default_server: false,
  backlog: null,
  ipv6only: null,
  reuseport: false,
  so_keepalive: null,
};

/** `listen address[:port] [parameter …]`: one specification per address that a name stands for. */
export function parseListen(args: readonly Word[], check: Check): readonly ListenSpec[] | undefined {
  const [where, ...parameters] = args;
  if (where === undefined) return undefined;
  const addresses = parseAddresses(where, check);
  const options: Options = { ...DEFAULT_OPTIONS };
  for (const parameter of parameters) {
    if (!readParameter(parameter, options, check)) return undefined;
  }
  return addresses?.map((address) => ({ address, ...options, span: where.span }));
}

/** What a server without any listen listens on: port 80, or 8000 without privileges. */
export function defaultListen(span: ListenSpec["span"]): ListenSpec {
  return {
    address: { kind: "inet", host: "0.0.0.0", port: process.getuid?.() === 0 ? 80 : 8000 },
    ...DEFAULT_OPTIONS,
    span,
  };
}

function parseAddresses(word: Word, check: Check): readonly ListenAddress[] | undefined {
  const { text } = word;
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path !== "") return [{ kind: "unix", path: check.path(path, "prefix") }];
    check.error(word.span, `no path in the unix domain socket in "${text}" of the "listen" directive`);
    return undefined;
  }
  const parts = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text);
  if (parts === null) return invalid(word, "invalid host", check);
  const [, bracketed, plain = "", afterColon] = parts;
  const isBarePort = bracketed === undefined && afterColon === undefined && /^\d+$/.test(plain);
  const portText = isBarePort ? plain : (afterColon ?? "80");
  const host = isBarePort ? "*" : (bracketed ?? plain);
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : -1;
  if (port < 0 || port > 65535) return invalid(word, "invalid port", check);
  if (bracketed !== undefined && isIP(bracketed) !== 6) return invalid(word, "invalid IPv6 address", check);
  if (host === "") return invalid(word, "no host", check);
  const hosts = hostAddresses(host);
  if (hosts.length === 0) return invalid(word, "host not found", check);
  return hosts.map((address) => ({ kind: "inet", host: address, port }));
}

function invalid(word: Word, problem: string, check: Check): undefined {
  check.error(word.span, `${problem} in "${word.text}" of the "listen" directive`, {
    code: "invalid-listen",
    notes: [{ message: "listen takes: a port, address:port, [ipv6]:port or unix:/path" }],
  });
  return undefined;
}

/** Every address that a name stands for; names in listen are rare, so the system's own resolver is asked at load. */
function hostAddresses(host: string): readonly string[] {
  if (host === "*") return ["0.0.0.0"];
  if (isIP(host) !== 0) return [host];
  if (host === "localhost") {
    const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
      list?.some((each) => each.address === "::1"),
    );
    return hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
  }
  if (!/^[A-Za-z0-9._-]+$/.test(host) || host.startsWith("-")) return [];
  try {
    const lines = execFileSync("getent", ["ahosts", host], { encoding: "utf8", timeout: 10_000 }).split("\n");
    return [
      ...new Set(lines.map((line) => line.split(/\s/)[0] ?? "").filter((address) => isIP(address) !== 0)),
    ];
  } catch {
    return [];
  }
}

function readParameter(word: Word, options: Options, check: Check): boolean {
  const { text } = word;
  const [name, value] = splitOnce(text, "=");
  switch (name) {
    case "default_server":
    case "default":
      options.default_server = true;
      return true;
    case "ssl":
      options.ssl = true;
      return true;
    case "http2":
      options.http2 = true;
      check.warn(
        word.span,
        'the "listen ... http2" directive is deprecated, use the "http2" directive instead',
        {
          code: "listen-http2",
        },
      );
      return true;
    case "quic":
      return refuse(
        word,
        check,
        "wsgate has no HTTP/3, because Node has none yet",
        "remove this listen directive",
      );
    case "proxy_protocol":
      options.proxy_protocol = true;
      return true;
    case "reuseport":
      options.reuseport = true;
      return true;
    case "backlog": {
      const backlog = /^\d+$/.test(value ?? "") ? Number(value) : 0;
      if (backlog === 0) return complain(word, `invalid backlog "${text}"`, check);
      options.backlog = backlog;
      return true;
    }
    case "ipv6only":
      if (value !== "on" && value !== "off")
        return complain(word, `invalid ipv6only flags "${value ?? ""}"`, check);
      options.ipv6only = value === "on";
      return true;
    case "so_keepalive":
      return readKeepalive(word, value ?? "", options, check);
    default:
      if (WITHOUT_EFFECT.some((known) => (known.endsWith("=") ? text.startsWith(known) : text === known)))
        return true;
      return unknownParameter(word, check);
  }
}

/** `on`, `off`, or `idle:interval:count`, of which Node can set the first alone. */
function readKeepalive(word: Word, value: string, options: Options, check: Check): boolean {
  if (value === "on" || value === "off") {
    options.so_keepalive = value === "on" ? 7_200_000 : 0;
    return true;
  }
  const [idle = "", ...rest] = value.split(":");
  const idleMs = idle === "" ? 7_200_000 : parseTimeMs(idle);
  if (idleMs === null || rest.length === 0 || rest.length > 2) {
    return complain(word, `invalid so_keepalive value: "${value}"`, check);
  }
  options.so_keepalive = idleMs;
  return true;
}

function unknownParameter(word: Word, check: Check): boolean {
  const nearest = nearestName(word.text, KNOWN);
  check.error(word.span, `invalid parameter "${word.text}"`, {
    code: "invalid-parameter",
    ...(nearest === null ? {} : { suggestion: `did you mean "${nearest}"?` }),
  });
  return false;
}

function complain(word: Word, message: string, check: Check): boolean {
  check.error(word.span, message, { code: "invalid-parameter" });
  return false;
}

function refuse(word: Word, check: Check, why: string, suggestion: string): boolean {
  check.error(word.span, `invalid parameter "${word.text}"`, {
    code: "not-implemented",
    notes: [{ message: why }],
    suggestion,
  });
  return false;
}

function splitOnce(text: string, separator: string): readonly [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
