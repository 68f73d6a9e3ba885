/** The words of the reports themselves. */
import type { Verdict } from "../verdict/illness.ts";
import { type Words, words } from "../words.ts";

export const HEADLINES: Readonly<Record<Verdict["state"], Words>> = {
  healthy: words(
    "Healthy: the WebSocket opens, and frames pass both ways.",
    "健康：WebSocket 能打开，帧可双向通过。",
  ),
  sick: words("Sick", "有问题"),
  unknown: words("Could not tell: the evidence is below.", "无法判断：证据如下。"),
};

/** Headings and the like. */
type Phrase =
  | "why"
  | "support"
  | "mend"
  | "confirm"
  | "browser"
  | "others"
  | "notes"
  | "evidence"
  | "backend"
  | "configuration"
  | "more";

export const PHRASES: Readonly<Record<Phrase, Words>> = {
  why: words("Why", "原因"),
  support: words("What supports it", "依据"),
  mend: words("What to write", "如何修改"),
  confirm: words("How to confirm", "如何确认"),
  browser: words("What the browser says", "浏览器的提示"),
  others: words("Other causes that fit", "其他可能的原因"),
  notes: words("Besides", "另外"),
  evidence: words("Evidence", "证据"),
  backend: words("Evidence, straight to the backend", "证据（直连后端）"),
  configuration: words("What the configuration says", "配置文件的问题"),
  more: words("Mends for other products: --for", "其他产品的改法：--for"),
};

/** How sure, in words. */
export function certaintyWords(certainty: number): Words {
  if (certainty >= 0.95) return words("certain", "确定");
  if (certainty >= 0.8) return words("very likely", "很可能");
  return certainty >= 0.6 ? words("likely", "可能") : words("possible", "有可能");
}
