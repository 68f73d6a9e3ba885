/**
 * Blocks of Lua, as `content_by_lua_block { … }` of OpenResty's module has them. Their contents are no configuration: braces
 * and quotes in them are Lua's. In the tree such a block is empty. The Lua 5.1 reference manual, section 2.1, says what is a string and what a comment.
 */

/** Whether the block of a directive holds Lua. */
export function opensLua(name: string): boolean {
  return name.endsWith("_by_lua_block");
}

/** A comment, a string, or a brace; what lies between two of them does not matter. */
const LUA_TOKEN =
  /--\[(=*)\[[^]*?\]\1\]|--[^\n]*|\[(=*)\[[^]*?\]\2\]|"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'|[{}]/g;

/** The offset of the brace that closes a block of Lua which begins at `start`, or null where it is never closed. */
export function endOfLua(text: string, start: number): number | null {
  const token = new RegExp(LUA_TOKEN);
  token.lastIndex = start;
  let depth = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[0] === "{") depth++;
    if (match[0] === "}" && depth-- === 0) return match.index;
  }
  return null;
}
