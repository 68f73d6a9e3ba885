/** Where a directive may stand: the block it is written in, named as nginx's documentation names it. */
export type Context =
  | "main"
  | "events"
  | "http"
  | "server"
  | "location"
  | "if in server"
  | "if in location"
  | "limit_except"
  | "upstream";

/** The three levels that most HTTP directives are allowed on. */
export const HTTP_SERVER_LOCATION: readonly Context[] = ["http", "server", "location"];
/** The same, and inside `if` within a location. */
export const HTTP_SERVER_LOCATION_IF: readonly Context[] = ["http", "server", "location", "if in location"];
export const HTTP_SERVER: readonly Context[] = ["http", "server"];

/** What a reader is told of a context in "allowed in …". */
export function describeContext(context: Context): string {
  switch (context) {
    case "main":
      return "the main level, outside every block";
    case "if in server":
      return 'an "if" block inside "server"';
    case "if in location":
      return 'an "if" block inside "location"';
    case "events":
    case "http":
      return `the "${context}" block`;
    case "upstream":
      return 'an "upstream" block';
    case "server":
    case "location":
    case "limit_except":
      return `a "${context}" block`;
  }
}
