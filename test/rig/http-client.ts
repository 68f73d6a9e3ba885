import { type HttpResponse, readResponse } from "./http-message.ts";
import { connectRaw, type RawClientOptions } from "./raw-peer.ts";

export interface HttpRequestOptions extends RawClientOptions {
  readonly method?: string;
  /** The request target as it stands in the request line. */
  readonly target?: string;
  /** Sent as given. A Host is added where none is named, as is a Content-Length for a body without framing. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request on a connection of its own that says `Connection: close` unless told otherwise. */
export async function request(options: HttpRequestOptions): Promise<HttpResponse> {
  const peer = await connectRaw(options);
  await peer.send(requestBytes(options));
  const response = await readResponse(peer, options.method);
  await peer.close();
  return response;
}

/** The bytes of a request, for tests that want to send it in pieces or several on one connection. */
export function requestBytes(options: HttpRequestOptions): string {
  const { method = "GET", target = "/", headers = {}, body } = options;
  const names = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const lines = [`${method} ${target} HTTP/1.1`];
  if (!names.has("host")) lines.push(`Host: ${options.host ?? "127.0.0.1"}:${options.port ?? 80}`);
  if (!names.has("connection")) lines.push("Connection: close");
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined && !names.has("content-length") && !names.has("transfer-encoding")) {
    lines.push(`Content-Length: ${body.length}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** The bytes of a valid RFC 6455 opening handshake; `headers` replaces or (with undefined) leaves out lines. */
export function handshakeBytes(
  target: string = "/",
  headers: Readonly<Record<string, string | undefined>> = {},
): string {
  const lines: Record<string, string | undefined> = {
    Host: "127.0.0.1",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const kept = Object.entries(lines).filter(([, value]) => value !== undefined);
  return `GET ${target} HTTP/1.1\r\n${kept.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** The Sec-WebSocket-Accept that answers the key of {@link handshakeBytes} (RFC 6455 section 1.3). */
export const HANDSHAKE_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
