/** Which of an illness's mends to show first. */
import type { Walk } from "../probe/walk.ts";
import { answerOf, bodyOf, control } from "../verdict/facts.ts";
import { type Maker, makerOf } from "../verdict/fingerprint.ts";
import type { Cause, Mend, Product } from "../verdict/illness.ts";

/** Those for whom there is nothing to choose between. */
const ALWAYS: ReadonlySet<Product> = new Set(["application", "client", "network", "certificate"]);

/** For a product that was asked for or shows in the answers, else nginx, and in any case those that are no product. */
export function chosenMends({ illness }: Cause, walk: Walk, asked: Product | "all" | null): readonly Mend[] {
  const { mends } = illness;
  if (asked === "all") return mends;
  const product = asked ?? makerOf(answerOf(walk), bodyOf(walk)) ?? makerOfPlain(walk);
  const fitting = mends.filter((mend) => mend.product === product);
  const proxies = fitting.length > 0 ? fitting : mends.filter((mend) => mend.product === "nginx");
  return mends.filter((mend) => ALWAYS.has(mend.product) || proxies.includes(mend));
}

/** Who answers an ordinary request. */
function makerOfPlain(walk: Walk): Maker | null {
  const outcome = control(walk, "plain")?.outcome;
  return outcome?.kind === "answer" ? makerOf(outcome.answer, outcome.body) : null;
}

export function otherProducts({ illness }: Cause, shown: readonly Mend[]): readonly Product[] {
  return [...new Set(illness.mends.filter((mend) => !shown.includes(mend)).map(({ product }) => product))];
}
