import type { Module } from "../../compile/module.ts";
import { settingsAt } from "../../compile/rows.ts";
import { PLAN_TUNNELS } from "../../proxy/plan-tunnels.ts";
import { UPGRADE_SETTINGS } from "../../proxy/upgrade.ts";
import { drainRows } from "./drain-rows.ts";
import { logRows } from "./log-rows.ts";
import { openingRows } from "./opening-rows.ts";
import { tunnelRows } from "./tunnel-rows.ts";
import { websocketVariables } from "./variables.ts";

const rows = { ...openingRows, ...tunnelRows, ...drainRows, ...logRows };

/** WebSockets: how they are opened, what they are held to, and what is to be told of them. */
export const websocketModule: Module = {
  name: "wsgate_websocket_module",
  directives: rows,
  variables: websocketVariables,
  http(_scope, check) {
    check.stateful(check.share(PLAN_TUNNELS));
  },
  location(scope, check) {
    check.share(UPGRADE_SETTINGS).set(scope, settingsAt(rows, scope));
    return {};
  },
};
