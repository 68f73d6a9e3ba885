import type { ByteString } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import type { Response } from "../compile/request.ts";
import { formatHttpDate } from "../http/http-date.ts";
import { reasonPhrase } from "../http/status.ts";

const SERVER_WITH_VERSION = `Server: wsgate/${VERSION}\r\n`;
const SERVER_WITHOUT_VERSION = "Server: wsgate\r\n";

const statusLines = new Map<number, ByteString>();

let dateLineSecond = Number.NaN;
let dateLine: ByteString = "";

/**
 * The head of an answer, in nginx's order: Server, Date, Content-Type, Content-Length, Last-Modified, Location, how the
 * connection goes on, and then every other field as it stands in the list. `framing` and `connection` are finished
 * lines; fields in the list that would contradict them are left out. A Server or Date in the list (proxy_pass_header)
 * takes the place of ours.
 */
export function writeAnswerHead(
  response: Response,
  serverTokens: "on" | "off" | "build",
  contentLength: ByteString,
  connection: ByteString,
): ByteString {
  const { headers } = response;
  let server = serverTokens === "off" ? SERVER_WITHOUT_VERSION : SERVER_WITH_VERSION;
  let date = currentDateLine();
  let contentType = "";
  let lastModified = "";
  let location = "";
  let rest = "";
  for (let i = 0; i < headers.length; i++) {
    const value = headers.valueAt(i);
    switch (headers.lowerNameAt(i)) {
      case "content-type":
        contentType += `Content-Type: ${value}\r\n`;
        break;
      case "last-modified":
        lastModified += `Last-Modified: ${value}\r\n`;
        break;
      case "location":
        location += `Location: ${value}\r\n`;
        break;
      case "connection":
      case "keep-alive":
      case "proxy-connection":
      case "content-length":
      case "transfer-encoding":
        break;
      case "server":
        server = `Server: ${value}\r\n`;
        break;
      case "date":
        date = `Date: ${value}\r\n`;
        break;
      default:
        rest += `${headers.nameAt(i)}: ${value}\r\n`;
    }
  }
  return (
    statusLine(response) +
    server +
    date +
    contentType +
    contentLength +
    lastModified +
    location +
    connection +
    rest +
    "\r\n"
  );
}

function statusLine({ status, reason }: Response): ByteString {
  if (reason !== null) return `HTTP/1.1 ${status} ${reason}\r\n`;
  let line = statusLines.get(status);
  if (line === undefined) statusLines.set(status, (line = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`));
  return line;
}

function currentDateLine(): ByteString {
  const nowMs = Date.now();
  const second = Math.floor(nowMs / 1000);
  if (second !== dateLineSecond) {
    dateLineSecond = second;
    dateLine = `Date: ${formatHttpDate(nowMs)}\r\n`;
  }
  return dateLine;
}
