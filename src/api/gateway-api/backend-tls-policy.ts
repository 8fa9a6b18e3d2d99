import { enumeration, type Infer, list, map, object, required, string } from '../schema.ts';
import { group, kindName, localObjectReference, objectName, preciseHostname, sectionName } from './common.ts';

/** `System`, or a domain and a name. */
const WELL_KNOWN =
  /^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$/;

/** How connections to a backend are encrypted and verified. */
export const backendTlsPolicy = object({
  targetRefs: required(
    list(object({ group: required(group()), kind: required(kindName()), name: required(objectName()), sectionName: sectionName() }), {
      minItems: 1,
      maxItems: 16,
    }),
  ),
  validation: required(
    object({
      hostname: required(preciseHostname()),
      caCertificateRefs: list(localObjectReference, { maxItems: 8 }),
      /** `System`: the CAs that the proxy's operating system trusts. */
      wellKnownCACertificates: string({ minLength: 1, maxLength: 253, pattern: WELL_KNOWN }),
      subjectAltNames: list(
        object({
          type: required(enumeration('Hostname', 'URI')),
          hostname: string({ minLength: 1, maxLength: 253 }),
          uri: string({ minLength: 1, maxLength: 253 }),
        }),
        { maxItems: 5 },
      ),
    }),
  ),
  options: map(string({ minLength: 0, maxLength: 4096 }), { maxProperties: 16 }),
});
export type BackendTLSPolicy = Infer<typeof backendTlsPolicy>;
