/** What is wrong with a command line, from what Node's `parseArgs` throws: the first sentence, without its advice. */
export function mistakeIn(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split(". ", 1).join("");
}
