/**
 * A handshake that was answered with something else than 101: three causes that look alike, told apart by what the same
 * request gets without an upgrade, by who has written the page, and by what the backend itself says.
 */
import { header } from "../probe/exchange.ts";
import type { Walk } from "../probe/walk.ts";
import { type Words, words } from "../words.ts";
import {
  alikeLine,
  answerOf,
  backendLine,
  answeredTheSame,
  bodyOf,
  control,
  controlOpens,
  everyPathIsAlike,
  found,
  handshakeOpens,
  openParent,
  pathSeen,
  plainIsAlike,
  readsHandshakes,
  statusLine,
  unlikeLine,
} from "./facts.ts";
import { isOwnPage, pathSeenByApplication, upgradeMissedIn } from "./fingerprint.ts";
import type { Case, Finding } from "./illness.ts";
import { bodyLine, ownPageLine } from "./pages.ts";
import { unreadBy } from "./unread.ts";

/** Bodies that name a cause of their own. */
const NAMES_ANOTHER_CAUSE =
  /HTTPS port|HTTPS server|SSL-enabled server|SSL certificate|Header Or Cookie Too Large|RFC 6455|"code":[012],/i;

/** How programs answer a GET that should have been a handshake, and how much each status speaks for that. */
const CERTAINTY_BY_STATUS: ReadonlyMap<number, number> = new Map([
  [426, 0.9],
  [400, 0.8],
  [404, 0.7],
  [200, 0.7],
  [204, 0.5],
  [405, 0.5],
  [406, 0.5],
  [415, 0.5],
  [501, 0.5],
]);

const FILE_LINE: Words = words(
  "The answer is a file (ETag and Last-Modified): the path falls through to the web pages.",
  "回答是一个静态文件（有 ETag 和 Last-Modified）：该路径落到了网页目录。",
);

/** Where the backend refuses as the front does, no proxy is at fault. */
export function backendRefusesToo({ front, backend }: Case): boolean {
  if (backend === null || handshakeOpens(backend)) return false;
  return answerOf(backend)?.status === answerOf(front)?.status;
}

/** The application was asked for a page. */
export function recogniseLostUpgrade(subject: Case): Finding | null {
  const { front, backend } = subject;
  const answer = answerOf(front);
  const body = bodyOf(front);
  const byStatus = CERTAINTY_BY_STATUS.get(answer?.status ?? 0);
  if (answer === null || byStatus === undefined) return null;
  if (NAMES_ANOTHER_CAUSE.test(body) || backendRefusesToo(subject) || unreadBy(front) !== null) return null;
  const missed = upgradeMissedIn(body);
  const isBackendWell = handshakeOpens(backend);
  if (missed === null && isOwnPage(answer, body)) return null;
  if (missed === null && !plainIsAlike(front) && !isBackendWell) return null;
  const seen = pathSeenByApplication(body);
  const isCatchAll = isFile(front) || recogniseCatchAll(subject) !== null;
  const certainty =
    missed !== null ? 0.9 : isCatchAll ? Math.min(byStatus, 0.55) : isBackendWell ? 0.95 : byStatus;
  return found(
    plainIsAlike(front) ? certainty : certainty - 0.2,
    statusLine(front),
    alikeLine(front),
    missed === null ? null : words(`The body says "${missed}".`, `正文写着“${missed}”。`),
    seen === null
      ? null
      : words(
          `The application was asked for ${seen}, with an ordinary GET.`,
          `应用收到的是对 ${seen} 的普通 GET。`,
        ),
    backendLine(backend),
  );
}

/** The request went elsewhere. */
export function recogniseWrongPath(subject: Case): Finding | null {
  const { front, backend } = subject;
  const status = answerOf(front)?.status ?? 0;
  if (!CERTAINTY_BY_STATUS.has(status)) return null;
  const changed = recogniseChangedPath(front);
  if (changed !== null) return changed;
  const elsewhere = recogniseElsewhere(front);
  if (elsewhere !== null) return elsewhere;
  const catchAll = recogniseCatchAll(subject);
  if (catchAll !== null) return catchAll;
  const isPage = isFile(front) && plainIsAlike(front);
  if (status !== 404 && status !== 405 && !isPage) return null;
  const certainty = certaintyOfWrongPath(front);
  return found(
    handshakeOpens(backend) || backendRefusesToo(subject) ? Math.min(certainty, 0.6) : certainty,
    statusLine(front),
    ownPageLine(front),
    isPage ? FILE_LINE : null,
    isOwnPage(answerOf(front), bodyOf(front)) ? null : bodyLine(bodyOf(front)),
    backendLine(backend),
  );
}

/** The application says itself that it was asked for another path. */
function recogniseChangedPath(front: Walk): Finding | null {
  const seen = pathSeen(front);
  const asked = front.url.target?.path.replace(/\?.*/, "");
  if (seen === null || asked === undefined || seen === asked) return null;
  return found(
    // The part that was taken away may be meant so, and the upgrade lost besides.
    plainIsAlike(front) ? 0.6 : 0.93,
    statusLine(front),
    words(
      `The application was asked for ${seen}, and the URL says ${asked}: a proxy has changed the path, as a URI in proxy_pass does.`,
      `应用收到的路径是 ${seen}，而 URL 是 ${asked}：代理改写了路径，例如 proxy_pass 带有 URI 时。`,
    ),
    unlikeLine(front),
  );
}

/** A page that every path gets: of a rule of the proxy's, or of a program that has no WebSocket there. */
function recogniseCatchAll({ front, backend }: Case): Finding | null {
  const answer = answerOf(front);
  if (answer === null || answer.status > 299 || upgradeMissedIn(bodyOf(front)) !== null) return null;
  if (!plainIsAlike(front) || !everyPathIsAlike(front)) return null;
  const ownPage = backend === null ? null : control(backend, "plain");
  const isOfBackend = answeredTheSame(control(front, "plain"), ownPage);
  // The page is that of the program that opens the WebSocket: the request has come to it, and the upgrade has not.
  if (handshakeOpens(backend) && (isOfBackend || ownPage === null)) return null;
  return found(
    handshakeOpens(backend) ? 0.95 : isFile(front) ? 0.85 : 0.7,
    statusLine(front),
    words(
      "A path that nobody has gets the very same page: what answers is a rule for every path (return, try_files … /index.html, the fallback page of an application).",
      "一个不存在的路径得到完全相同的页面：回答者是对所有路径生效的规则（return、try_files … /index.html，或应用的兜底页面）。",
    ),
    isFile(front) ? FILE_LINE : null,
    bodyLine(bodyOf(front)),
    handshakeOpens(backend)
      ? words(
          "The backend opens the WebSocket, and has another page for the same GET.",
          "后端能打开 WebSocket，而对同一 GET 给出的是另一个页面。",
        )
      : backendLine(backend),
  );
}

function certaintyOfWrongPath(front: Walk): number {
  if (isOwnPage(answerOf(front), bodyOf(front))) return 0.9;
  const isSeen = isFile(front) || readsHandshakes(front) || !plainIsAlike(front);
  return isSeen ? 0.75 : 0.55;
}

/** A WebSocket opens with another slash at the end, or one folder up. */
function recogniseElsewhere(front: Walk): Finding | null {
  const parent = openParent(front);
  if (!controlOpens(front, "other-slash") && parent === null) return null;
  return found(
    // What is answered like any page may as well be a lost upgrade, and the other WebSocket another one.
    plainIsAlike(front) && !isOwnPage(answerOf(front), bodyOf(front)) ? 0.65 : 0.97,
    statusLine(front),
    parent === null
      ? words(
          "With the trailing slash the other way round the WebSocket opens.",
          "把末尾的斜杠反过来，WebSocket 就能打开。",
        )
      : words(`At ${parent} a WebSocket opens.`, `在 ${parent} 处 WebSocket 能打开。`),
  );
}

/** Somebody has read the handshake and said no. */
export function recogniseRefusedHandshake({ front, backend }: Case): Finding | null {
  const status = answerOf(front)?.status;
  if (status !== 400 && status !== 426) return null;
  const body = bodyOf(front);
  // wsgate names the rule that is broken.
  const namesRule = body.includes("RFC 6455");
  const looksLost = upgradeMissedIn(body) !== null || NAMES_ANOTHER_CAUSE.test(body) || plainIsAlike(front);
  if (!namesRule && looksLost) return null;
  return found(
    namesRule ? 0.95 : 0.75,
    statusLine(front),
    bodyLine(body),
    unlikeLine(front),
    backendLine(backend),
  );
}

/** A file of the disk, rather than something that a program made. */
function isFile(walk: Walk): boolean {
  const answer = answerOf(walk);
  if (answer?.status !== 200) return false;
  return header(answer, "last-modified") !== undefined && header(answer, "etag") !== undefined;
}
