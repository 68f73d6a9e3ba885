import { BACKEND_PATIENTS, HOP_PATIENTS } from "./clinic/backends.ts";
import { examineAll } from "./clinic/examine.ts";
import { useRig } from "./rig/ledger.ts";

useRig();
examineAll([...BACKEND_PATIENTS, ...HOP_PATIENTS]);
