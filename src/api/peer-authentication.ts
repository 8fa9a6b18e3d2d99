import { labelSelector } from './common.ts';
import { enumeration, type Infer, map, object, withDefault } from './schema.ts';

const mutualTls = object({ mode: withDefault(enumeration('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'), 'UNSET') });
export type MutualTls = Infer<typeof mutualTls>;

/** Which mTLS the inbound side of workloads takes. */
export const peerAuthentication = object({ selector: labelSelector, mtls: mutualTls, portLevelMtls: map(mutualTls) });
export type PeerAuthentication = Infer<typeof peerAuthentication>;
