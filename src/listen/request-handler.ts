import type { Request, RouteState } from "../compile/request.ts";

/** What becomes of requests once they have been read: route/ in the proxy, a stand-in in tests. */
export interface RequestHandler {
  readonly routeState: RouteState;
  /** Answers a request through its `downstream`, at once or later. Never throws for what a peer does. */
  handleRequest(request: Request): void;
  /** Answers with a status found while reading: its error_page or standard page. 494 to 497 are nginx's inner ones. */
  answerStatus(request: Request, status: number): void;
}
