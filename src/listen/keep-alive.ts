import type { Request } from "../compile/request.ts";
import type { RequestBody } from "./request-body.ts";

/**
 * Whether the connection can carry another request after this one: as ngx_http_update_location_config, and not where it is
 * unclear where the next request would begin.
 */
export function allowsKeepAlive(
  { head, response, location, connection }: Request,
  body: RequestBody | null,
): boolean {
  const { keepalive_timeout, keepalive_requests, keepalive_time } = location.core;
  return (
    head.keepAlive &&
    !response.closeAfter &&
    keepalive_timeout.timeout > 0 &&
    connection.requests < keepalive_requests &&
    performance.now() - connection.openedAtMs < keepalive_time &&
    (body === null || hasKnownEnd(body, head.expectContinue))
  );
}

/** A client that was not told to continue may or may not send its body. */
function hasKnownEnd(body: RequestBody, waitsForContinue: boolean): boolean {
  return body.phase !== "failed" && !(waitsForContinue && body.phase === "unread");
}
