import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { Request } from "./request.ts";
import type { Getter } from "./template.ts";

/**
 * The getter of a variable that names a header field, such as `$http_x_forwarded_for`: `argument` is the name in lower
 * case, with underscores in place of hyphens. Several lines of one name make one value, as nginx joins them; cookies by
 * a semicolon (RFC 6265).
 */
export function headerGetter(listOf: (request: Request) => HeaderList | null): (argument: string) => Getter {
  return (argument) => {
    const name = asciiLowerCase(argument).replaceAll("_", "-");
    const separator = name === "cookie" ? "; " : ", ";
    const valuesOf = name.includes("-") ? valuesUnderEitherName : valuesUnderName;
    return (request) => {
      const headers = listOf(request);
      const values = headers === null ? [] : valuesOf(headers, name);
      return values.length > 1 ? values.join(separator) : values[0];
    };
  };
}

function valuesUnderName(headers: HeaderList, name: ByteString): readonly ByteString[] {
  return headers.getAll(name);
}

/** A field's own name may hold underscores, where underscores_in_headers allows that; the variable's always does. */
function valuesUnderEitherName(headers: HeaderList, name: ByteString): readonly ByteString[] {
  const values: ByteString[] = [];
  for (let i = 0; i < headers.length; i++) {
    const lower = headers.lowerNameAt(i);
    const isNamed =
      lower === name ||
      (lower.length === name.length && lower.includes("_") && lower.replaceAll("_", "-") === name);
    if (isNamed) values.push(headers.valueAt(i));
  }
  return values;
}
