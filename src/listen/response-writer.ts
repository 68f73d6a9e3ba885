import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { SendDeadline } from "../base/send-deadline.ts";
import type { SocketTransport } from "../base/transport.ts";
import type { Request, Response } from "../compile/request.ts";
import { CHUNK_END, chunkHead, LAST_CHUNK, lastChunk } from "../http/chunk-writer.ts";
import type { HeaderList } from "../http/header-list.ts";
import { reasonPhrase } from "../http/status.ts";
import { flushAfterTurn } from "./flush-after-turn.ts";
import { writeAnswerHead } from "./response-head.ts";

/** How the end of the answer's body shows on the wire. */
type AnswerFraming = "none" | "length" | "chunked" | "until-close";

/** Up to so many bytes of body are held back for what comes next in the turn. */
const GATHERED_BYTES_MAX = 16 * 1024;

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const CLOSE = "Connection: close\r\n";
const KEEP_ALIVE = "Connection: keep-alive\r\n";
const UPGRADE = "Connection: upgrade\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

/**
 * Writes the answers of one HTTP/1.1 connection, one after the other: head, framing, counting. What is written in one
 * turn of the event loop, head and first body bytes above all, leaves in as few system calls as the transport can.
 */
export class ResponseWriter {
  readonly #transport: SocketTransport;
  readonly #onStuck: () => void;
  #framing: AnswerFraming = "none";
  #bytesLeft = 0;
  #response: Response | null = null;
  #isCorked = false;
  /** Bytes of body written since the last flush. */
  #gatheredBytes = 0;
  /** For a client that takes nothing any more; made when one is slow for the first time. */
  #deadline: SendDeadline | null = null;
  #sendTimeoutMs = 0;
  /**
   * True after a write that the transport took but would rather not have, and after the end of an answer that is not out
   * whole, until {@link drained}.
   */
  mustDrain = false;
  /** True once the final head of the answer in hand has been written. */
  hasBegun = false;

  /** `onStuck`: the client has taken nothing for send_timeout. */
  constructor(transport: SocketTransport, onStuck: () => void) {
    this.#transport = transport;
    this.#onStuck = onStuck;
  }

  /** Makes ready for the next answer. */
  reset(sendTimeoutMs: number): void {
    this.#sendTimeoutMs = sendTimeoutMs;
    this.#framing = "none";
    this.#response = null;
    this.hasBegun = false;
  }

  /** True: what was written of an answer can be told from a whole one only by how the connection ends. */
  get endsWithConnection(): boolean {
    return this.#framing === "until-close";
  }

  /** The transport has room again. */
  drained(): void {
    this.mustDrain = false;
    this.#deadline?.disarm();
  }

  /** Nothing is written any more. */
  close(): void {
    this.#deadline?.disarm();
  }

  writeContinue(): void {
    this.#send(CONTINUE);
    this.flush();
  }

  writeInterim(status: number, headers: HeaderList): void {
    this.#send(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${headers.toLines()}\r\n`);
  }

  writeUpgrade(request: Request): void {
    const { response } = request;
    const head = writeAnswerHead(response, request.location.core.server_tokens, "", UPGRADE);
    response.bytesSent += head.length;
    this.#send(head);
    this.flush();
  }

  /**
   * Writes the head. Returns whether the connection may be kept, which was wished or not, and which the framing may
   * forbid: an answer of unknown length to HTTP/1.0 ends with the connection.
   */
  writeHead(request: Request, keepAlive: boolean): boolean {
    const { response } = request;
    const { core } = request.location;
    this.hasBegun = true;
    this.#sendTimeoutMs = core.send_timeout;
    this.#response = response;
    this.#framing = framingOf(request);
    this.#bytesLeft = typeof response.bodyLength === "number" ? response.bodyLength : 0;
    const isKept = keepAlive && this.#framing !== "until-close";

    let connection = isKept ? KEEP_ALIVE : CLOSE;
    if (this.#framing === "chunked") connection = CHUNKED + connection;
    const announced = core.keepalive_timeout.header;
    if (isKept && announced !== null) connection += `Keep-Alive: timeout=${announced}\r\n`;
    // RFC 9110 section 8.6: no Content-Length with 204.
    const hasLength = typeof response.bodyLength === "number" && response.status !== 204;
    const length = hasLength ? `Content-Length: ${response.bodyLength}\r\n` : "";

    const head = writeAnswerHead(response, core.server_tokens, length, connection);
    response.bytesSent += head.length;
    this.#send(head);
    return isKept;
  }

  /** Body bytes; false asks to wait for onDrain. */
  write(chunk: Buffer, start: number, end: number): boolean {
    const bytes = end - start;
    const response = this.#response;
    if (this.#framing === "none" || bytes === 0 || response === null) return !this.mustDrain;
    if (this.#framing === "length") {
      assert(bytes <= this.#bytesLeft, "an answer's body is longer than its head said");
      this.#bytesLeft -= bytes;
    }
    this.#count(response, bytes);
    if (this.#framing === "chunked") this.#writeChunk(response, chunk, start, end);
    else this.#writeBytes(chunk, start, end);
    return !this.mustDrain;
  }

  /** Ends the body; false: it is shorter than the head said, and the connection cannot go on. */
  end(trailers: HeaderList | null): boolean {
    const response = this.#response;
    if (this.#framing === "chunked" && response !== null) {
      const last = trailers === null || trailers.length === 0 ? LAST_CHUNK : lastChunk(trailers);
      response.trailers = trailers;
      this.#count(response, last.length);
      this.#send(last);
    }
    this.flush();
    this.#note(this.#transport.awaitDrain());
    const isWhole = this.#framing !== "length" || this.#bytesLeft === 0;
    this.#response = null;
    return isWhole;
  }

  /** Lets go what was held back in this turn. */
  flush(): void {
    this.#gatheredBytes = 0;
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#note(this.#transport.uncork());
  }

  #writeChunk(response: Response, chunk: Buffer, start: number, end: number): void {
    const head = chunkHead(end - start);
    this.#count(response, head.length + CHUNK_END.length);
    this.#send(head);
    this.#writeBytes(chunk, start, end);
    this.#send(CHUNK_END);
  }

  /** Few bytes go out together with what stands around them; many, where a copy costs more than a system call, alone. */
  #writeBytes(chunk: Buffer, start: number, end: number): void {
    this.#gatheredBytes += end - start;
    if (this.#gatheredBytes > GATHERED_BYTES_MAX) this.flush();
    this.#note(this.#transport.write(chunk, start, end));
  }

  #count(response: Response, bytes: number): void {
    response.bytesSent += bytes;
    response.bodyBytesSent += bytes;
  }

  #send(text: ByteString): void {
    this.#cork();
    this.#note(this.#transport.writeLatin1(text));
  }

  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#transport.cork();
    flushAfterTurn(this);
  }

  #note(hasRoom: boolean): void {
    if (hasRoom) return;
    this.mustDrain = true;
    this.#deadline ??= new SendDeadline(this.#transport, this.#onStuck);
    if (!this.#deadline.isArmed) this.#deadline.arm(Math.max(1, this.#sendTimeoutMs));
  }
}

/** RFC 9112 section 6.3; nginx's rules for what it may choose. */
function framingOf({ head, response, location }: Request): AnswerFraming {
  const { status, bodyLength } = response;
  if (head.method === "HEAD" || bodyLength === "none" || status === 204 || status === 304) return "none";
  if (bodyLength !== "unknown") return "length";
  return head.versionMinor === 1 && location.core.chunked_transfer_encoding ? "chunked" : "until-close";
}
