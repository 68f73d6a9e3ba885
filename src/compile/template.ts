import type { ByteString } from "../base/bytes.ts";
import type { Request } from "./request.ts";

/** Gives a variable's value for a request; undefined where it has none ("not found" in nginx's terms). */
export type Getter = (request: Request) => ByteString | undefined;

/**
 * One variable as the configuration refers to it. References are made while the text is read and bound when all of it
 * has been, because a `map` or `set` may stand after its first use.
 */
export interface VariableRef {
  readonly name: string;
  get: Getter;
}

/** A string with variables in it, ready to be rendered for a request. An undefined variable renders as nothing. */
export interface Template {
  /** As written in the configuration. */
  readonly source: string;
  /** The value where no variable is involved, else null. */
  readonly constant: ByteString | null;
  readonly variables: readonly VariableRef[];
  render(request: Request): ByteString;
}

export type TemplatePart = ByteString | VariableRef;

/** Builds the cheapest renderer for the parts; most templates are a constant or one variable. */
export function templateFromParts(source: string, parts: readonly TemplatePart[]): Template {
  const variables = parts.filter((part) => typeof part !== "string");
  if (variables.length === 0) {
    const constant = parts.filter((part) => typeof part === "string").join("");
    return { source, constant, variables, render: () => constant };
  }
  const [only] = variables;
  if (parts.length === 1 && only !== undefined) {
    return { source, constant: null, variables, render: (request) => only.get(request) ?? "" };
  }
  return {
    source,
    constant: null,
    variables,
    render(request) {
      let text = "";
      for (const part of parts) text += typeof part === "string" ? part : (part.get(request) ?? "");
      return text;
    },
  };
}

/** A template that is one fixed byte string. */
export function constantTemplate(value: ByteString): Template {
  return templateFromParts(value, value === "" ? [] : [value]);
}

/** What {@link scanTemplate} found: literal text, a variable's name, or why the text is no template. */
export type TemplateScan =
  | { readonly ok: true; readonly parts: readonly ({ readonly text: string } | { readonly name: string })[] }
  | { readonly ok: false; readonly message: string; readonly offset: number };

const NAME_CHARACTER = /[A-Za-z0-9_]/;

/**
 * Splits `$name` and `${name}` from literal text, as ngx_http_script_compile: `$1` to `$9` are captures of one digit;
 * a dollar sign that no name follows is an error (`invalid variable name`).
 */
export function scanTemplate(text: string): TemplateScan {
  const parts: ({ text: string } | { name: string })[] = [];
  let literalStart = 0;
  let i = 0;
  const flush = (end: number): void => {
    if (end > literalStart) parts.push({ text: text.slice(literalStart, end) });
  };
  while (i < text.length) {
    if (text[i] !== "$") {
      i++;
      continue;
    }
    flush(i);
    const dollar = i++;
    const braced = text[i] === "{";
    if (braced) i++;
    const nameStart = i;
    if (!braced && /[1-9]/.test(text[i] ?? "")) i++;
    else while (i < text.length && NAME_CHARACTER.test(text[i] ?? "")) i++;
    const name = text.slice(nameStart, i);
    if (braced) {
      if (text[i] !== "}") {
        return { ok: false, message: `the closing bracket in "${name}" variable is missing`, offset: dollar };
      }
      i++;
    }
    if (name === "") return { ok: false, message: "invalid variable name", offset: dollar };
    parts.push({ name });
    literalStart = i;
  }
  flush(i);
  return { ok: true, parts };
}
