import type { Rule } from "../rule.ts";
import { backendRules } from "./backends.ts";
import { headerRules } from "./headers.ts";
import { languageRules } from "./language.ts";
import { locationRules } from "./locations.ts";
import { mapRules } from "./maps.ts";
import { pathRules } from "./paths.ts";
import { securityRules } from "./security.ts";
import { serverRules } from "./servers.ts";
import { timeoutRules } from "./timeouts.ts";
import { tlsRules } from "./tls.ts";
import { upgradeRules } from "./upgrade.ts";
import { upgradeValueRules } from "./upgrade-values.ts";

/** Every rule, in the order of docs/LINT.md. */
export const rules: readonly Rule[] = [
  ...upgradeRules,
  ...upgradeValueRules,
  ...mapRules,
  ...locationRules,
  ...pathRules,
  ...timeoutRules,
  ...backendRules,
  ...headerRules,
  ...securityRules,
  ...tlsRules,
  ...serverRules,
  ...languageRules,
];
