/** The routes that know no requests: TLSRoute and TCPRoute. */
import { type Infer, list, object, required } from '../schema.ts';
import { backendRef, hostname, parentRefs, sectionName } from './common.ts';

const rule = object({ name: sectionName(), backendRefs: required(list(backendRef, { minItems: 1, maxItems: 16 })) });
const rules = required(list(rule, { minItems: 1, maxItems: 1 }));

/** By server name (SNI). */
export const kubernetesTlsRoute = object({
  parentRefs,
  hostnames: required(list(hostname(), { minItems: 1, maxItems: 1024 })),
  rules,
});
export type TLSRoute = Infer<typeof kubernetesTlsRoute>;

/** By the listener's port alone. */
export const kubernetesTcpRoute = object({ parentRefs, rules });
export type TCPRoute = Infer<typeof kubernetesTcpRoute>;
