/** Everybody who has been in the clinic, ward by ward. */
import { APACHE_PATIENTS } from "./apache.ts";
import { BACKEND_PATIENTS, HOP_PATIENTS } from "./backends.ts";
import { HEALTHY } from "./healthy.ts";
import { NETWORK_PATIENTS } from "./network.ts";
import { NGINX_PATIENTS } from "./nginx.ts";
import { OTHER_PROXY_PATIENTS } from "./other-proxies.ts";
import type { Patient } from "./patient.ts";
import { SEED_PATIENTS } from "./seeds.ts";
import { TLS_PATIENTS } from "./tls.ts";

export interface Ward {
  readonly name: string;
  readonly patients: readonly Patient[];
}

export const WARDS: readonly Ward[] = [
  { name: "nginx", patients: NGINX_PATIENTS },
  { name: "The articles' files", patients: SEED_PATIENTS },
  { name: "HAProxy and Caddy", patients: OTHER_PROXY_PATIENTS },
  { name: "Apache", patients: APACHE_PATIENTS },
  { name: "Backends and pages", patients: BACKEND_PATIENTS },
  { name: "Hops", patients: HOP_PATIENTS },
  { name: "TLS and certificates", patients: TLS_PATIENTS },
  { name: "Names and ports", patients: NETWORK_PATIENTS },
  { name: "Healthy", patients: HEALTHY },
];
