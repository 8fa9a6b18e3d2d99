import { workloadSelector } from './common.ts';
import { enumeration, type Infer, list, object, port, required, string, withDefault } from './schema.ts';
import { workloadEntry } from './workload-entry.ts';

const servicePort = object({
  number: required(port()),
  protocol: withDefault(string({ maxLength: 256 }), ''),
  name: required(string({ maxLength: 256 })),
  /** Absent: `number`. */
  targetPort: port(),
});
export type ServiceEntryPort = Infer<typeof servicePort>;

/** Services that no Kubernetes Service declares, usually outside the mesh. */
export const serviceEntry = object({
  hosts: required(list(string(), { minItems: 1, maxItems: 256 })),
  /** Virtual addresses, IP or CIDR. */
  addresses: list(string({ maxLength: 64 }), { maxItems: 256 }),
  ports: list(servicePort, { maxItems: 256 }),
  location: withDefault(enumeration('MESH_EXTERNAL', 'MESH_INTERNAL'), 'MESH_EXTERNAL'),
  resolution: withDefault(enumeration('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'), 'NONE'),
  endpoints: list(workloadEntry, { maxItems: 4096 }),
  workloadSelector,
  exportTo: list(string()),
  subjectAltNames: list(string()),
});
export type ServiceEntry = Infer<typeof serviceEntry>;
