/** Identities as secrets of SDS, by Istio's names. */
import { create } from '@bufbuild/protobuf';
import type { Redacted } from '../lib/redacted.ts';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { ROOT_SECRET, WORKLOAD_SECRET } from '../xds/names.ts';

/** @param chain PEM, the leaf first */
export function workloadSecret(chain: string, key: Redacted): Secret {
  const certificateChain = { specifier: { case: 'inlineString', value: chain } } as const;
  const privateKey = { specifier: { case: 'inlineBytes', value: key.reveal() } } as const;
  return create(SecretSchema, { name: WORKLOAD_SECRET, type: { case: 'tlsCertificate', value: { certificateChain, privateKey } } });
}

/** @param trusted PEM of the roots */
export function rootSecret(trusted: string): Secret {
  const trustedCa = { specifier: { case: 'inlineString', value: trusted } } as const;
  return create(SecretSchema, { name: ROOT_SECRET, type: { case: 'validationContext', value: { trustedCa } } });
}
