import { examineAll } from "./clinic/examine.ts";
import { OTHER_PROXY_PATIENTS } from "./clinic/other-proxies.ts";
import { useRig } from "./rig/ledger.ts";

useRig();
examineAll(OTHER_PROXY_PATIENTS);
