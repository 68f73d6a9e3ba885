import { NGINX_PATIENTS } from "./clinic/nginx.ts";
import { examineAll } from "./clinic/examine.ts";
import { useRig } from "./rig/ledger.ts";

useRig();
examineAll(NGINX_PATIENTS.map((patient) => ({ ...patient, needs: ["nginx"] })));
