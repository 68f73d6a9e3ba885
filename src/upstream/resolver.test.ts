import { expect, test } from "vitest";
import { useRig } from "../../test/rig/ledger.ts";
import { startNameServer } from "../../test/rig/name-server.ts";
import { CachingResolver, type Resolution } from "./resolver.ts";

useRig();

function resolverAt(
  address: string,
  settings: { timeoutMs?: number; validMs?: number } = {},
): CachingResolver {
  const { timeoutMs = 5000, validMs = null } = settings;
  return new CachingResolver({ servers: [address], validMs, ipv4: true, ipv6: false }, timeoutMs);
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
