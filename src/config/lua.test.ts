import { expect, test } from "vitest";
import { endOfLua } from "./lua.ts";
import { parseConfig } from "./parse.ts";

test.each([
  ["ngx.say(1) }", 11],
  ["local t = { a = { 1 } } }", 24],
  ['ngx.say("}") }', 13],
  ["ngx.say('\\'}') }", 15],
  ["-- }\n}", 5],
  ["--[[ }\n} ]] }", 12],
  ["x = [==[ } ]] } ]==] }", 21],
  ["t[1] = t[t[2]] }", 15],
  ["if a then {", null],
] as const)("the Lua of %j ends at %j", (text, end) => {
  expect(endOfLua(text, 0)).toBe(end);
});

test("what stands behind a block of Lua is read as if it had none", () => {
  const lua = "content_by_lua_block {\n local t = {a = 1}; ngx.say(\"it's }\") -- don't\n }";
  const { tree, diagnostics } = parseConfig({
    file: "/nginx.conf",
    text: `http {\n server {\n location / {\n ${lua}\n }\n listen 80;\n }\n}\n`,
  });
  expect(diagnostics).toEqual([]);
  const server = tree.directives[0]?.block?.[0];
  expect(server?.block?.map(({ name }) => name.text)).toEqual(["location", "listen"]);
  expect(server?.block?.[0]?.block?.[0]).toMatchObject({ name: { text: "content_by_lua_block" }, block: [] });
});

test("a block of Lua that is never closed is reported as any other", () => {
  const { diagnostics } = parseConfig({
    file: "/nginx.conf",
    text: "http {\n init_by_lua_block {\n a = {}\n",
  });
  expect(diagnostics.map(({ message }) => message)).toContain('unexpected end of file, expecting "}"');
});
