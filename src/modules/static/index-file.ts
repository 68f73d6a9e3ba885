import { stat } from "node:fs/promises";
import type { ByteString } from "../../base/bytes.ts";
import { filePath } from "../../compile/file-path.ts";
import { NEXT, type Outcome, PENDING } from "../../compile/outcome.ts";
import type { Request } from "../../compile/request.ts";
import type { Template } from "../../compile/template.ts";

/** A path that ends in a slash stands for the first of the index files that exists; without one it is forbidden. */
export function serveIndex(request: Request, index: readonly Template[]): Outcome {
  if (!request.path.endsWith("/")) return NEXT;
  if (request.method !== "GET" && request.method !== "HEAD" && request.method !== "POST") {
    return { kind: "status", status: 405 };
  }
  void findIndex(request, index);
  return PENDING;
}

async function findIndex(request: Request, index: readonly Template[]): Promise<void> {
  for (const template of index) {
    const name = template.render(request);
    // An index with a slash in front is a path of its own, and is not looked for.
    if (name.startsWith("/")) return request.resume({ kind: "internal", path: name, args: null });
    if (await isFile(filePath(request, request.path + name))) {
      return request.resume({ kind: "internal", path: request.path + name, args: null });
    }
  }
  const folder = filePath(request);
  if (await isFolder(folder)) {
    request.log("error", `directory index of "${folder}" is forbidden`);
    return request.resume({ kind: "status", status: 403 });
  }
  if (request.location.core.log_not_found) {
    request.log(
      "error",
      `"${folder}${index.at(-1)?.source ?? ""}" is not found (2: No such file or directory)`,
    );
  }
  request.resume({ kind: "status", status: 404 });
}

/** Whether a file is there, and no folder. */
export async function isFile(path: ByteString): Promise<boolean> {
  try {
    return !(await stat(Buffer.from(path, "latin1"))).isDirectory();
  } catch {
    return false;
  }
}

export async function isFolder(path: ByteString): Promise<boolean> {
  try {
    return (await stat(Buffer.from(path, "latin1"))).isDirectory();
  } catch {
    return false;
  }
}
