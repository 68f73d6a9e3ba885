import { answerStatus } from "../route/answer.ts";
import { handleRequest, routeState } from "../route/run.ts";
import type { RequestHandler } from "../listen/request-handler.ts";

/** What listen/ hands requests to: route/. */
export const requestHandler: RequestHandler = { routeState, handleRequest, answerStatus };
