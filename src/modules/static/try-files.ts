import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import { filePath } from "../../compile/file-path.ts";
import { NEXT, type Outcome, PENDING, type Step } from "../../compile/outcome.ts";
import type { Request } from "../../compile/request.ts";
import type { Template } from "../../compile/template.ts";
import { isFile, isFolder } from "./index-file.ts";

export interface TryFiles {
  /** A trailing slash asks for a folder. */
  readonly candidates: readonly { readonly path: Template; readonly isFolder: boolean }[];
  /** What is done when none is there. */
  readonly last: { readonly status: number } | { readonly target: Template };
}

/** `try_files file … uri` or `try_files file … =code`. */
export function parseTryFiles(args: readonly Word[], check: Check): TryFiles | undefined {
  const last = args.at(-1);
  if (last === undefined) return undefined;
  const status = /^=(\d{3})$/.exec(last.text)?.[1];
  if (last.text.startsWith("=") && status === undefined) {
    check.error(last.span, `invalid code "${last.text.slice(1)}"`, { code: "invalid-value" });
    return undefined;
  }
  return {
    candidates: args.slice(0, -1).map((word) => {
      const isFolder = word.text.endsWith("/");
      const path = check.templateOf(isFolder ? word.text.slice(0, -1) : word.text, word.span);
      return { path, isFolder };
    }),
    last: status === undefined ? { target: check.template(last) } : { status: Number(status) },
  };
}

/** The first that exists takes the place of the path; the last one is where the request goes otherwise. */
export function tryFilesStep(rule: TryFiles): Step {
  return (request) => {
    void tryAll(request, rule);
    return PENDING;
  };
}

async function tryAll(request: Request, { candidates, last }: TryFiles): Promise<void> {
  for (const candidate of candidates) {
    const path = candidate.path.render(request);
    const file = filePath(request, path);
    const exists = candidate.isFolder ? await isFolder(file) : await isFile(file);
    if (!exists) continue;
    const next = candidate.isFolder ? `${path}/` : path;
    if (next !== request.path) request.pathIsOriginal = false;
    request.path = next;
    return request.resume(NEXT);
  }
  request.resume("status" in last ? { kind: "status", status: last.status } : goTo(request, last.target));
}

function goTo(request: Request, target: Template): Outcome {
  const place = target.render(request);
  if (place.startsWith("@")) return { kind: "named", name: place };
  const question = place.indexOf("?");
  if (question < 0) return { kind: "internal", path: place, args: null };
  return { kind: "internal", path: place.slice(0, question), args: place.slice(question + 1) };
}
