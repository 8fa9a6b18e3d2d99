import { type Infer, integer, map, object, port, string, withDefault } from './schema.ts';

/** An address of a service, alone or as an endpoint of a ServiceEntry. */
export const workloadEntry = object({
  /** An IP address, a host name, or `unix:///path` (`unix://@name`). */
  address: withDefault(string({ maxLength: 256 }), ''),
  /** The service's port names to this workload's port numbers. */
  ports: map(port(), { maxProperties: 128 }),
  labels: map(string(), { maxProperties: 256 }),
  network: withDefault(string({ maxLength: 2048 }), ''),
  /** `region/zone/subzone`. */
  locality: withDefault(string({ maxLength: 2048 }), ''),
  weight: withDefault(integer(), 0),
  serviceAccount: withDefault(string({ maxLength: 253 }), ''),
});
export type WorkloadEntry = Infer<typeof workloadEntry>;
