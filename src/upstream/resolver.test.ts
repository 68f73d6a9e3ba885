import { expect, test } from "vitest";
import { useRig } from "../../test/rig/ledger.ts";
import { startNameServer } from "../../test/rig/name-server.ts";
import { CachingResolver, type Resolution } from "./resolver.ts";

useRig();

function resolverAt(
  addresses: string | readonly string[],
  settings: { timeoutMs?: number; validMs?: number; ipv4?: boolean; ipv6?: boolean } = {},
): CachingResolver {
  const { timeoutMs = 5000, validMs = null, ipv4 = true, ipv6 = false } = settings;
  return new CachingResolver({ servers: [addresses].flat(), validMs, ipv4, ipv6 }, timeoutMs);
}

function resolve(resolver: CachingResolver, name: string): Promise<Resolution> {
  return new Promise((found) => resolver.resolve(name, found));
}

test("all addresses of a name come, in an order that does not depend on the answer's", async () => {
  const server = await startNameServer({ "app.test": ["127.0.0.2", "127.0.0.1"] });
  const resolution = await resolve(resolverAt(server.address), "app.test");
  expect(resolution).toEqual({ ok: true, addresses: ["127.0.0.1", "127.0.0.2"] });
});

test("of requests for one name at the same time only the first asks, and later ones are told at once", async () => {
  const server = await startNameServer({ "app.test": ["127.0.0.1"] });
  const resolver = resolverAt(server.address);
  await Promise.all([
    resolve(resolver, "app.test"),
    resolve(resolver, "app.test"),
    resolve(resolver, "app.test"),
  ]);
  let told: Resolution | null = null;
  resolver.resolve("app.test", (resolution) => {
    told = resolution;
  });
  expect(told).toEqual({ ok: true, addresses: ["127.0.0.1"] });
  expect(server.questions).toEqual(["app.test A"]);
});

test("an answer whose time is over is asked for again", async () => {
  const server = await startNameServer({ "app.test": ["127.0.0.1"] });
  const resolver = resolverAt(server.address, { validMs: 0 });
  await resolve(resolver, "app.test");
  await resolve(resolver, "app.test");
  expect(server.questions).toEqual(["app.test A", "app.test A"]);
});

test("a name that does not exist, and one that nobody answers for, fail in nginx's words", async () => {
  const server = await startNameServer({ "slow.test": null });
  const resolver = resolverAt(server.address, { timeoutMs: 300 });
  expect(await resolve(resolver, "missing.test")).toEqual({
    ok: false,
    message: "missing.test could not be resolved (3: Host not found)",
  });
  expect(await resolve(resolver, "slow.test")).toEqual({
    ok: false,
    message: "slow.test could not be resolved (110: Operation timed out)",
  });
});

test("several name servers that do not answer take no longer than one", async () => {
  const servers = await Promise.all(
    Array.from({ length: 100 }, () => startNameServer({ "slow.test": null })),
  );
  const resolver = resolverAt(
    servers.map(({ address }) => address),
    { timeoutMs: 400 },
  );
  const started = performance.now();
  // By itself, c-ares would wait a quarter of a second and more for each of them, longer than a test may take.
  const resolution = await resolve(resolver, "slow.test");
  expect(performance.now() - started).toBeGreaterThanOrEqual(400);
  expect(resolution).toMatchObject({
    message: "slow.test could not be resolved (110: Operation timed out)",
  });
});

test("addresses of both families come, and of one family only that is asked for", async () => {
  const zone = { "app.test": ["127.0.0.1", "0:0:0:0:0:0:0:1"] };
  const [both, only6] = [await startNameServer(zone), await startNameServer(zone)];
  expect(await resolve(resolverAt(both.address, { ipv6: true }), "app.test")).toEqual({
    ok: true,
    addresses: ["127.0.0.1", "::1"],
  });
  expect(await resolve(resolverAt(only6.address, { ipv4: false, ipv6: true }), "app.test")).toEqual({
    ok: true,
    addresses: ["::1"],
  });
  expect(only6.questions).toEqual(["app.test AAAA"]);
});

test("a name is one name however its letters are cased", async () => {
  const server = await startNameServer({ "app.test": ["127.0.0.1"] });
  const resolver = resolverAt(server.address);
  await resolve(resolver, "App.Test");
  await resolve(resolver, "APP.test");
  expect(server.questions).toEqual(["app.test A"]);
});

test("a name that does not exist is asked for once for a while", async () => {
  const server = await startNameServer({});
  const resolver = resolverAt(server.address);
  await resolve(resolver, "missing.test");
  await resolve(resolver, "missing.test");
  expect(server.questions).toEqual(["missing.test A"]);
});
