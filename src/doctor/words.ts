/** The languages in which the doctor speaks. */
export type Language = "en" | "zh";

/** One text in every language. */
export type Words = Readonly<Record<Language, string>>;

export const LANGUAGES: readonly Language[] = ["en", "zh"];

export function words(en: string, zh: string): Words {
  return { en, zh };
}

/** What stands in quotes or in a protocol, and needs no translation. */
export function verbatim(text: string): Words {
  return { en: text, zh: text };
}
