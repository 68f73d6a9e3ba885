import { APACHE_PATIENTS } from "./clinic/apache.ts";
import { examineAll } from "./clinic/examine.ts";
import { useRig } from "./rig/ledger.ts";

useRig();
examineAll(APACHE_PATIENTS.map((patient) => ({ ...patient, needs: ["apache"] })));
