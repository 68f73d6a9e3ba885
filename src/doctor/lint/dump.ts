/** What `nginx -T` writes: every file of a configuration, the main one first, each under a line with its name. */

const HEADING = /^# configuration file (.+):\r?\n/gm;

/** The files by name. A text without headings is one file; what nginx says before the first is left out. */
export function readDump(text: string): Readonly<Record<string, string>> {
  const headings = [...text.matchAll(HEADING)];
  if (headings.length === 0) return { "standard input": text };
  const files = headings.map((heading, i) => {
    const start = heading.index + heading[0].length;
    // nginx ends each file with an empty line of its own.
    const content = text.slice(start, headings[i + 1]?.index ?? text.length).replace(/\n$/, "");
    return [heading[1] ?? "", content] as const;
  });
  return Object.fromEntries(files);
}
