import { examineAll } from "./clinic/examine.ts";
import { TLS_PATIENTS } from "./clinic/tls.ts";
import { useRig } from "./rig/ledger.ts";

useRig();
examineAll(TLS_PATIENTS);
