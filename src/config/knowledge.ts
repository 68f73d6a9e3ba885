/**
 * What the text layer may be told about directives. It works without; with it, its guesses about forgotten semicolons
 * and braces become certain. Both answers are about spelling and place alone, never about arguments.
 */
export interface DirectiveKnowledge {
  /** Whether any module has a directive of this name. */
  isDirectiveName?(name: string): boolean;
  /**
   * Whether the directive may stand inside these blocks, the outermost first: `[]` is the main context,
   * `["http", "server"]` a server. True also inside blocks that take entries of their own, such as `map`.
   */
  allowedIn?(name: string, parents: readonly string[]): boolean;
}
