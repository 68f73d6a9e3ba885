import { describe, expect, test } from "vitest";
import { testKnowledge } from "../../test/rig/directive-knowledge.ts";
import { formatDiagnostic } from "./format-diagnostic.ts";
import { parseConfig } from "./parse.ts";
import { printTree } from "./print.ts";

function parse(text: string, knowledge = {}): { tree: string; messages: string } {
  const { tree, diagnostics } = parseConfig({ file: "x.conf", text, ...knowledge });
  const messages = diagnostics.map((one) => formatDiagnostic(one, { program: "wsgate", colour: false }));
  return { tree: printTree(tree), messages: messages.join("\n") };
}

/** A published example, as it was published. */
const chat = `worker_processes auto;
error_log /var/log/nginx/error.log info;
events {
worker_connections 1024;
# 简单示例
http {
upstream backend {
server 127.0.0.1:8000;
location /chat/ {
proxy_pass http://backend;
# 主要websocket代理配置, $http_upgrade是指http协议头部Upgrade的值.
proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection "upgrade";
`;

describe("a configuration in which events is never closed and http stands inside it", () => {
  test("is answered with the block, what stands in it, and where the brace belongs", () => {
    expect(parse(chat, testKnowledge).messages).toBe(
      `
wsgate: [emerg] "http" directive is not allowed here in x.conf:6
   6 | http {
     | ^^^^
note: "http" stands inside "events", which was opened at line 3 and is never closed
   3 | events {
     | ^^^^^^^^
help: add "}" before line 6 to close "events"
wsgate: [emerg] unexpected end of file, expecting "}" in x.conf:15
   6 | http {
     | ^^^^^^
note: "http", opened at line 6, is never closed
note: "upstream", opened at line 7, is never closed
   7 | upstream backend {
     | ^^^^^^^^^^^^^^^^^^
note: "location", opened at line 9, is never closed
   9 | location /chat/ {
     | ^^^^^^^^^^^^^^^^^
help: add "}" before line 9 to close "upstream", and add "}}" at the end of the file to close "http" and "location"
`.trim(),
    );
  });

  test("still names every open block where nothing is known of directives", () => {
    const { messages } = parse(chat);
    expect(messages.match(/"\w+", opened at line \d+, is never closed/g)).toEqual([
      '"events", opened at line 3, is never closed',
      '"http", opened at line 6, is never closed',
      '"upstream", opened at line 7, is never closed',
      '"location", opened at line 9, is never closed',
    ]);
  });

  test("is read on as if the braces were there", () => {
    expect(parse(chat, testKnowledge).tree).toBe(
      `
worker_processes auto;
error_log /var/log/nginx/error.log info;
events {
    worker_connections 1024;
}
http {
    upstream backend {
        server 127.0.0.1:8000;
    }
    location /chat/ {
        proxy_pass http://backend;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
    }
}
`.trimStart(),
    );
  });
});

const twoServers = `http {
    server {
        listen 80;

    server {
        listen 81;
    }
}
`;

const twoServersMended = `http {
    server {
        listen 80;
    }
    server {
        listen 81;
    }
}
`;

describe("a brace that is missing in the middle", () => {
  test("is found by what may stand where", () => {
    const { tree, messages } = parse(twoServers.replaceAll(/^ +/gm, ""), testKnowledge);
    expect(messages).toContain('"server" stands inside "server", which was opened at line 2');
    expect(messages).toContain('help: add "}" before line 5 to close "server"');
    expect(tree).toBe(twoServersMended);
  });

  test("is found by the indentation where nothing is known of directives", () => {
    const { tree, messages } = parse(twoServers);
    expect(messages).toBe(
      `
wsgate: [emerg] unexpected end of file, expecting "}" in x.conf:9
   2 |     server {
     |     ^^^^^^^^
note: "server", opened at line 2, is never closed
help: add "}" before line 5 to close "server"
`.trim(),
    );
    expect(tree).toBe(twoServersMended);
  });

  test("is found by the indentation where the neighbour might be nested as well", () => {
    const text =
      "server {\n  location /a {\n    return 1;\n  location /b {\n    return 2;\n  }\n}\nevents {}\n";
    const { tree, messages } = parse(text, testKnowledge);
    expect(messages).toContain('"location", opened at line 2, is never closed\nhelp: add "}" before line 4');
    expect(tree).toContain("    }\n    location /b {\n");
  });

  test("is found by the indentation of the brace that was meant for the block around it", () => {
    const text = "http {\n\tserver {\n\t\tlocation / {\n\t\t\treturn 1;\n\t}\n}\n";
    expect(parse(text).messages).toContain('help: add "}" before line 5 to close "location"');
  });

  test("is sought at the end where no line is indented", () => {
    const text = "http {\nserver {\nlisten 80;\n}\n";
    expect(parse(text).messages).toContain('help: add "}" at the end of the file to close "http"');
  });

  test("may be missing several times at one place", () => {
    const text =
      "http {\nserver {\nlocation / {\nreturn 1;\nupstream a {\nserver b;\n}\n}\nworker_processes 1;\n";
    const { messages } = parse(text, testKnowledge);
    expect(messages).toContain('help: add "}}" before line 5 to close "location" and "server"');
    expect(messages.match(/\[emerg\]/g)).toHaveLength(1);
  });
});

describe("braces that match", () => {
  test("are believed whatever the indentation and the directives say", () => {
    const text = "events {\n  worker_connections 1;\nhttp {\n      }\n   }\n";
    expect(parse(text, testKnowledge)).toEqual({
      messages: "",
      tree: "events {\n    worker_connections 1;\n    http {}\n}\n",
    });
  });
});

describe("a brace that is one too many", () => {
  test("is refused at the place where nothing is left to close", () => {
    expect(parse("events {\n}\n}\nhttp {}\n")).toEqual({
      messages: `
wsgate: [emerg] unexpected "}" in x.conf:3
   3 | }
     | ^
help: remove it: every block is closed already
`.trim(),
      tree: "events {}\nhttp {}\n",
    });
  });

  const twice = `http {
    server {
        location / {
        }
        }
        listen 80;
    }
}
`;

  test("is found by the indentation of the one that closed too much", () => {
    const { tree, messages } = parse(twice);
    expect(messages).toBe(
      `
wsgate: [emerg] unexpected "}" in x.conf:8
   8 | }
     | ^
note: "server", opened at line 2, is closed by a "}" that is indented more deeply
   5 |         }
     |         ^
help: remove the "}" in line 5
`.trim(),
    );
    expect(tree).toBe("http {\n    server {\n        location / {}\n        listen 80;\n    }\n}\n");
  });

  test("is named at the first directive that it leaves in the wrong place, as nginx has it", () => {
    expect(parse(twice, testKnowledge).messages).toContain(
      'wsgate: [emerg] "listen" directive is not allowed here in x.conf:6',
    );
  });
});

describe("an opening brace that is missing", () => {
  const text = "http {\n    server\n        listen 80;\n    }\n}\n";

  test("is seen by the directive in the next line", () => {
    expect(parse(text, testKnowledge)).toEqual({
      messages: `
wsgate: [emerg] directive "server" has no opening "{" in x.conf:3
   2 |     server
     |           ^
help: add "{" at the end of line 2
`.trim(),
      tree: "http {\n    server {\n        listen 80;\n    }\n}\n",
    });
  });

  test("is one closing brace too many where nothing is known of directives", () => {
    expect(parse(text).messages).toContain('unexpected "}" in x.conf:5');
  });
});

test("blocks nested without end are refused, not followed", () => {
  const { messages } = parse(`${"a {".repeat(100_000)}${"}".repeat(100_000)}`);
  expect(messages).toContain("blocks are nested more than 128 deep in x.conf:1");
});
