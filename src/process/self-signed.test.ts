import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureSelfSigned, localNames, type SelfSigned } from "./self-signed.ts";

const DAY_MS = 86_400_000;
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wsgate-self-signed-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function mustBeOk(made: SelfSigned): Extract<SelfSigned, { ok: true }> {
  if (!made.ok) throw new Error(made.failure);
  return made;
}

test("serves TLS under every local name to a client that trusts it", async () => {
  const { certificatePath, keyPath } = mustBeOk(await ensureSelfSigned(folder));
  const cert = readFileSync(certificatePath);
  const server = createServer({ cert, key: readFileSync(keyPath) }, (socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  for (const servername of ["localhost", localNames().at(-1) ?? "", ""]) {
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      const client = connect({ port, host: "127.0.0.1", ca: cert, servername }, () => resolve(client));
      client.once("error", reject);
    });
    expect(socket.authorized).toBe(true);
    socket.destroy();
  }
  await new Promise((resolve) => server.close(resolve));
  expect(new X509Certificate(cert).checkIP("::1")).toBe("::1");
});

test("keeps the key from other users, and makes the folder where it is missing", async () => {
  const { keyPath } = mustBeOk(await ensureSelfSigned(join(folder, "a", "b")));
  expect(statSync(keyPath).mode & 0o777).toBe(0o600);
});

test("is reused while it is valid for more than another 7 days, and renewed after that", async () => {
  const nowMs = Date.now();
  const first = mustBeOk(await ensureSelfSigned(folder, { nowMs }));
  const text = readFileSync(first.certificatePath, "utf8");
  const later = mustBeOk(await ensureSelfSigned(folder, { nowMs: nowMs + 357 * DAY_MS }));
  expect([first.isNew, later.isNew, readFileSync(later.certificatePath, "utf8")]).toEqual([
    true,
    false,
    text,
  ]);
  const last = mustBeOk(await ensureSelfSigned(folder, { nowMs: nowMs + 359 * DAY_MS }));
  expect(last.isNew).toBe(true);
  expect(mustBeOk(await ensureSelfSigned(folder, { nowMs: nowMs + 359 * DAY_MS })).isNew).toBe(false);
});

test("is made anew when the clock stands before its beginning", async () => {
  const nowMs = Date.now();
  await ensureSelfSigned(folder, { nowMs });
  expect(await ensureSelfSigned(folder, { nowMs: nowMs - 2 * DAY_MS })).toMatchObject({ isNew: true });
});

test("is made anew when a name is missing from it", async () => {
  await ensureSelfSigned(folder, { names: ["localhost"] });
  expect(await ensureSelfSigned(folder, { names: ["localhost"] })).toMatchObject({ isNew: false });
  expect(await ensureSelfSigned(folder, { names: ["localhost", "10.0.0.1"] })).toMatchObject({ isNew: true });
});

test.each(["localhost.key", "localhost.crt"])(
  "is made anew when %s is spoilt or another pair's",
  async (name) => {
    const other = join(folder, "other");
    await ensureSelfSigned(folder);
    await ensureSelfSigned(other);
    writeFileSync(join(folder, name), readFileSync(join(other, name)));
    expect(await ensureSelfSigned(folder)).toMatchObject({ isNew: true });
    writeFileSync(join(folder, name), "garbage");
    expect(await ensureSelfSigned(folder)).toMatchObject({ isNew: true });
  },
);

test("says in one line what it could not write", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  expect(await ensureSelfSigned(file)).toEqual({
    ok: false,
    failure: `cannot keep a certificate in ${file} (17: File exists)`,
  });
});
