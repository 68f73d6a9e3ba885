import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import type { Module } from "../../compile/module.ts";
import { one, settingsAt } from "../../compile/rows.ts";
import { constantTemplate, type Template } from "../../compile/template.ts";
import { custom, enumOf, integer, MANY } from "../../compile/values.ts";
import { serveIndex } from "./index-file.ts";
import { serveFile } from "./serve-file.ts";
import { parseTryFiles, type TryFiles, tryFilesStep } from "./try-files.ts";

const rows = {
  index: one<readonly Template[]>({
    in: HTTP_SERVER_LOCATION,
    type: custom("file …", [1, MANY], (args, check) => args.map((word) => check.template(word))),
    default: [constantTemplate("index.html")],
    defaultText: "index.html",
    doc: "Files that a path which ends in a slash stands for, in the order in which they are looked for.",
  }),
  try_files: one<TryFiles | null>({
    in: ["server", "location"],
    type: custom("file … uri | file … =code", [2, MANY], parseTryFiles),
    default: null,
    inherit: "none",
    doc: "The first of these files that exists is used; otherwise the request goes to the last one, or gets the code.",
  }),
  if_modified_since: one({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("off", "exact", "before"),
    default: "exact" as const,
    doc: "How the time in If-Modified-Since is compared with that of a file.",
  }),
  max_ranges: one({
    in: HTTP_SERVER_LOCATION,
    type: integer(0, MANY),
    default: null,
    defaultText: "100",
    doc: "How many ranges a request may ask for; 0 switches them off.",
  }),
} as const;

/** Files: what is left when no other module answers. */
export const staticModule: Module = {
  name: "ngx_http_core_module (files), ngx_http_index_module",
  directives: rows,
  location(scope) {
    const rules = settingsAt(rows, scope);
    const { index, try_files } = rules;
    return {
      precontent: try_files === null ? null : tryFilesStep(try_files),
      content: (request) =>
        request.path.endsWith("/") ? serveIndex(request, index) : serveFile(request, rules),
    };
  },
};
