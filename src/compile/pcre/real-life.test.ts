import { describe, expect, test } from "vitest";
import { askPcre2 } from "../../../test/rig/pcre2.ts";
import { requires } from "../../../test/rig/requires.ts";
import { compilePcre } from "./compile-pcre.ts";

/**
 * Patterns as they stand in the configurations that projects publish and people copy. A leading `~*` makes one
 * case-insensitive. Behind each: a subject and what the groups hold, `null` where it does not match.
 */
const realLife: readonly (readonly [
  pattern: string,
  ...cases: readonly [string, readonly (string | undefined)[] | null][],
])[] = [
  // PHP applications
  ["\\.php$", ["/index.php", []], ["/index.php5", null], ["/index.php\n", []], ["/indexphp", null]],
  ["[^/]\\.php(/|$)", ["/a.php/b", ["/"]], ["/a.php", [""]], ["/.php", null]],
  ["^(.+?\\.php)(/.*)$", ["/a.php/b.php/c", ["/a.php", "/b.php/c"]], ["/a.php", null]],
  ["^(.+\\.php)(/.+)$", ["/a.php/b.php/c", ["/a.php/b.php", "/c"]]],
  [
    "^(?<script_name>.+?\\.php)(?<path_info>/.*)?$",
    ["/a.php", ["/a.php", undefined]],
    ["/a.php/x", ["/a.php", "/x"]],
  ],
  ["~*\\.(?:php|phtml|phar)$", ["/a.PHP", []], ["/a.phpx", null]],
  ["^/index\\.php(/|$)", ["/index.php/x", ["/"]], ["/x/index.php", null]],
  // WordPress
  ["~*/(?:uploads|files)/.*\\.php$", ["/wp-content/Uploads/a/b.PHP", []], ["/uploads/a.txt", null]],
  ["/wp-content/uploads/.*\\.php$", ["/wp-content/uploads/2026/x.php", []]],
  ["^/([_0-9a-zA-Z-]+/)?wp-admin$", ["/blog/wp-admin", ["blog/"]], ["/wp-admin", [undefined]]],
  ["^/[_0-9a-zA-Z-]+(/wp-(content|admin|includes).*)", ["/site/wp-admin/x", ["/wp-admin/x", "admin"]]],
  ["^/[_0-9a-zA-Z-]+(/.*\\.php)$", ["/site/a/b.php", ["/a/b.php"]]],
  ["wp-config\\.php|xmlrpc\\.php|readme\\.html", ["/xmlrpc.php", []], ["/xmlrpc_php", null]],
  ["(wp-comments-posts|wp-login)\\.php", ["/wp-login.php", ["wp-login"]]],
  ["comment_author|wordpress_[a-f0-9]+|wp-postpass|wordpress_logged_in", ["a=1; wordpress_0af=x", []]],
  ["^/sitemap([^/]*)\\.x(ml|sl)$", ["/sitemap-posts.xml", ["-posts", "ml"]]],
  [
    "/([^/]+?)-sitemap([0-9]+)?\\.xml$",
    ["/post-sitemap2.xml", ["post", "2"]],
    ["/page-sitemap.xml", ["page", undefined]],
  ],
  // hidden files and leftovers
  ["/\\.", ["/.git/config", []], ["/a.b", null]],
  ["/\\.(?!well-known).*", ["/.env", []], ["/.well-known/acme", null]],
  ["/\\.(?!well-known\\/)", ["/x/.ssh", []]],
  ["(^|/)\\.", [".a", [""]], ["a/.b", ["/"]]],
  ["/\\.ht", ["/.htaccess", []]],
  [
    "~*\\.(?:bak|conf|dist|fla|in[ci]|log|orig|psd|sh|sql|sw[op])$",
    ["/a.SQL", []],
    ["/a.inc", []],
    ["/a.inx", null],
  ],
  ["~$", ["/index.html~", []], ["/~user", null]],
  ["(?:^|/)(?:composer\\.(?:json|lock)|package(?:-lock)?\\.json)$", ["/package-lock.json", []]],
  // assets
  ["~*\\.(jpg|jpeg|png|gif|ico|css|js)$", ["/A.JPG", ["JPG"]], ["/a.jpgx", null]],
  [
    "~*\\.(?:css(\\.map)?|js(\\.map)?|jpe?g|png|gif|ico|cur|heic|webp|tiff?|mp3|m4a|aac|ogg|midi?|wav|mp4|mov|webm|mpe?g|avi|ogv|flv|wmv)$",
    ["/a.js.map", [undefined, ".map"]],
    ["/a.tif", [undefined, undefined]],
  ],
  ["\\.(?:css|js)$", ["/a.css", []], ["/a.jss", null]],
  ["~*^.+\\.(?:svgz?|ttf|ttc|otf|eot|woff2?)$", ["/f/a.WOFF2", []]],
  ["^/(?:images|img|javascript|js|css|flash|media|static)/", ["/js/a", []], ["/jsx/a", null]],
  [
    "^(?<root>/static)/(?<hash>[0-9a-f]{8,})\\.(?<ext>js|css)$",
    ["/static/0123abcd.js", ["/static", "0123abcd", "js"]],
    ["/static/0123abc.js", null],
  ],
  [
    "^(.+)\\.(\\d+)\\.(bmp|css|cur|gif|ico|jpe?g|m?js|png|svgz?|webp|webmanifest)$",
    ["/a.12.css", ["/a", "12", "css"]],
  ],
  ["^/assets/(?:.+/)?[^/]+-[0-9a-f]{32}\\.\\w+$", ["/assets/x/app-0123456789abcdef0123456789abcdef.js", []]],
  ["\\.[0-9a-f]{20}\\.(?:js|css)$", ["/main.0123456789abcdef0123.js", []], ["/main.0123.js", null]],
  ["~*\\.(?:manifest|appcache|html?|xml|json)$", ["/a.HTM", []]],
  ["(?i)\\.(?:png|jpe?g)$", ["/a.JPeG", []]],
  // names and hosts
  [
    "^(?<user>.+)\\.example\\.com$",
    ["anna.example.com", ["anna"]],
    ["a.b.example.com", ["a.b"]],
    ["example.com", null],
  ],
  ["^(www\\.)?(?<domain>.+)$", ["www.a.org", ["www.", "a.org"]], ["a.org", [undefined, "a.org"]]],
  ["^www\\.(.+)$", ["www.x.y", ["x.y"]]],
  ["^(?:www\\.|)example\\.(?:com|net)$", ["example.net", []], ["www.example.com", []]],
  [
    "^(?P<tenant>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\\.app\\.example\\.com$",
    ["acme-1.app.example.com", ["acme-1"]],
    ["-a.app.example.com", null],
  ],
  ["^([a-z0-9]+(-[a-z0-9]+)*\\.)+[a-z]{2,}$", ["foo-bar.baz.org", ["baz.", "-bar"]], ["foo..org", null]],
  ["~*^(?:[a-z0-9-]+\\.)*example\\.(?:com|org)$", ["A.b.EXAMPLE.org", []]],
  ["^\\d{1,3}(?:\\.\\d{1,3}){3}$", ["10.0.0.1", []], ["10.0.0", null]],
  // versions, prefixes, languages
  ["^/api/v(\\d+)/(.*)$", ["/api/v2/users/1", ["2", "users/1"]]],
  ["^/v(?<major>[0-9]+)(?:\\.(?<minor>[0-9]+))?/", ["/v1.22/x", ["1", "22"]], ["/v1/x", ["1", undefined]]],
  ["^/(?!api)", ["/apix", null], ["/web", []]],
  ["^/(?!(?:api|ws|static)(?:/|$)).*", ["/apis", []], ["/api", null], ["/ws/chat", null]],
  ["^/app(/|$)(.*)", ["/app", ["", ""]], ["/app/x", ["/", "x"]], ["/apple", null]],
  ["^/something(/|$)(.*)$", ["/something/new", ["/", "new"]]],
  ["^/(en|de|fr|pt-br)(?:/(.*))?$", ["/pt-br/a/b", ["pt-br", "a/b"]], ["/de", ["de", undefined]]],
  ["^/([^/]+)/?(.*)$", ["/a/b/c", ["a", "b/c"]], ["/a", ["a", ""]]],
  ["^/~(.+?)(/.*)?$", ["/~anna/x", ["anna", "/x"]], ["/~anna", ["anna", undefined]]],
  ["^/u/(?<name>\\w+)/(?<rest>.*)$", ["/u/anna_1/x", ["anna_1", "x"]]],
  ["(.*)/$", ["/a/b/", ["/a/b"]], ["/a", null]],
  ["^(/[^.]*[^/])$", ["/a/b", ["/a/b"]], ["/a.b", null]],
  ["//+", ["/a//b", []]],
  ["^/(\\d{4})/(\\d{2})/(?<slug>[a-z0-9-]+)/?$", ["/2026/11/a-b/", ["2026", "11", "a-b"]]],
  // Laravel, Drupal, Nextcloud, GitLab, Symfony and others
  ["^/(build|tests|config|lib|3rdparty|templates|data)(?:$|/)", ["/config", ["config"]], ["/configs", null]],
  ["^/(?:\\.|autotest|occ|issue|indie|db_|console)", ["/.htaccess", []], ["/occ", []]],
  ["\\.php(?:$|/)", ["/a.php/x", []], ["/a.phpx", null]],
  [
    "^/(?!index|remote|public|cron|core\\/ajax\\/update|status|ocs\\/v[12]|updater\\/.+|ocs-provider\\/.+|.+\\/richdocumentscode(_arm64)?\\/proxy)",
    ["/foo.php", [undefined]],
    ["/ocs/v2", null],
  ],
  [
    "^\\/(?:index|remote|public|cron|core\\/ajax\\/update|status|ocs\\/v[12]|updater\\/.+|oc[ms]-provider\\/.+)\\.php(?:$|\\/)",
    ["/ocs/v2.php", []],
  ],
  ["\\.(?:css|js|mjs|svg|gif|ico|jpg|png|webp|wasm|tflite|map|ogg|flac)$", ["/a.mjs", []]],
  [
    "^/[\\w\\.-]+/[\\w\\.-]+/(gitlab-lfs/objects|info/lfs/objects/batch)$",
    ["/g/p.x/info/lfs/objects/batch", ["info/lfs/objects/batch"]],
  ],
  ["^/[\\w\\.-]+/[\\w\\.-]+/repository/archive", ["/g/p/repository/archive.zip", []]],
  ["^/uploads/(?:[^/]+/)*[0-9a-f]{32}/", ["/uploads/-/system/0123456789abcdef0123456789abcdef/x", []]],
  ["^/sites/.*/private/", ["/sites/default/private/x", []]],
  ["\\..*/.*\\.php$", ["/a.b/c.php", []], ["/a/c.php", null]],
  ["^/(?:sites/[^/]+/)?files/styles/", ["/sites/default/files/styles/x", []]],
  ["/vendor/.*\\.php$", ["/vendor/a/b.php", []]],
  // WebSockets and events
  ["^/(?:ws|socket\\.io|sockjs-node|cable|hub)(?:/|$)", ["/socket.io/?EIO=4", []], ["/wsx", null]],
  ["~*^websocket$", ["WebSocket", []], ["websocket2", null]],
  ["(?:^|,)\\s*upgrade\\s*(?:,|$)", ["keep-alive, upgrade", []]],
  ["^/(?<room>[A-Za-z0-9_-]{1,64})/(?<kind>ws|events)$", ["/room-1/ws", ["room-1", "ws"]]],
  [
    "^/cable/(?<id>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$",
    ["/cable/01234567-89ab-cdef-0123-456789abcdef", ["01234567-89ab-cdef-0123-456789abcdef"]],
  ],
  // maps and conditions
  ["~*(?:bot|crawl|spider|slurp)", ["Mozilla (compatible; GoogleBOT/2.1)", []]],
  ["~*(android|bb\\d+|meego).+mobile|avantgo|blackberry|iphone", ["Android 14; Mobile", ["Android"]]],
  ["MSIE [1-8]\\.", ["MSIE 8.0", []]],
  ["^(GET|HEAD|POST)$", ["POST", ["POST"]], ["POSTS", null]],
  ["(^|;\\s*)session=([^;]+)", ["a=b; session=xyz; c", ["; ", "xyz"]]],
  ["^Bearer\\s+(?<token>\\S+)$", ["Bearer abc.def", ["abc.def"]]],
  ["^bytes=(\\d+)-(\\d+)?$", ["bytes=0-", ["0", undefined]]],
  [
    "^https?://([^/]+\\.)?example\\.com(?:/|$)",
    ["https://a.example.com/x", ["a."]],
    ["http://example.com", [undefined]],
  ],
  ["^(\\d+\\.\\d+\\.\\d+)\\.\\d+$", ["10.1.2.3", ["10.1.2"]]],
  ["~*[;'\"<>].*(?:union.*select|drop\\s+table)", ["/x?'; DROP  TABLE y", []]],
  ["(?:\\.\\./){2,}", ["/a/../../b", []]],
  ["^$", ["", []], ["x", null]],
  ["^/$", ["/", []], ["/\n", []]],
];

describe("patterns from real configurations", () => {
  for (const [text, ...cases] of realLife) {
    // oxlint-disable-next-line vitest/valid-title
    test(text, () => {
      const { regexp, linear } = compile(text);
      expect(linear).toBe(true);
      const found = cases.map(([subject]) => [subject, regexp.exec(subject)?.slice(1) ?? null]);
      expect(found).toEqual(cases);
    });
  }

  test("nothing is warned about in more than one of twenty", () => {
    const warned = realLife.filter(([text]) => compile(text).warnings.length > 0);
    expect(warned.length).toBeLessThan(realLife.length / 20);
  });

  test("PCRE2 captures the same", (context) => {
    requires(context, "pcre2test");
    const questions = realLife.map(([text, ...cases]) => ({
      ...patternOf(text),
      subjects: cases.map(([subject]) => subject),
    }));
    const expected = realLife.map(([, ...cases]) => cases.map(([, captures]) => captures));
    const answers = askPcre2(questions).map((answer) =>
      answer.ok ? answer.matches.map((match) => (Array.isArray(match) ? match.slice(1) : match)) : answer,
    );
    expect(answers).toEqual(expected);
  });
});

function patternOf(text: string): { pattern: string; caseInsensitive: boolean } {
  const caseInsensitive = text.startsWith("~*");
  return { pattern: caseInsensitive ? text.slice(2) : text, caseInsensitive };
}

function compile(text: string): Extract<ReturnType<typeof compilePcre>, { ok: true }> {
  const { pattern, caseInsensitive } = patternOf(text);
  const result = compilePcre(pattern, { caseInsensitive });
  if (!result.ok) throw new Error(result.message);
  return result;
}
