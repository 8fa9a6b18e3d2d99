import { enumeration, type Infer, list, map, object, required, string } from '../schema.ts';
import { group, kindName, localObjectReference, objectName, preciseHostname, sectionName } from './common.ts';

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
      wellKnownCACertificates: string({ minLength: 1, maxLength: 253 }),
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
