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
    return (request) => joined(listOf(request), name);
  };
}

function joined(headers: HeaderList | null, name: string): ByteString | undefined {
  const first = headers?.get(name);
  if (headers === null || first === undefined) return undefined;
  const all = headers.getAll(name);
  return all.length === 1 ? first : all.join(name === "cookie" ? "; " : ", ");
}
