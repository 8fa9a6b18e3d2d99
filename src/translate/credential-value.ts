/** What a gateway gets of Secrets for the calls of EgressPolicies, as SDS has it: values that it puts into requests, and the certificates that it shows. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../api/index.ts';
import { namedSecretValue, type SecretValue } from '../api/inject-credentials.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { isUnread } from '../config/unread.ts';
import { fieldValue } from '../lib/field-value.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialValueSecret } from '../xds/injected-secrets.ts';
import { type BuiltSecret, type CredentialPlace, credentialCertificate } from './secrets-build.ts';

/** @param name of the value. Without one the secret is empty, and calls that need it are refused. */
export function credentialValue(name: string, snapshot: Snapshot): BuiltSecret {
  const value = namedSecretValue(name);
  const found = snapshot.get('Secret', value.namespace, value.name);
  if (found) return kept.get([found, name], NO_INPUTS, () => built(found, name, value));
  return without(name, absence(value, snapshot, 'calls that get it are refused (503)'));
}

const kept = new Memo<BuiltSecret>();

/** Certificate and key that are shown to servers. @param credentialName by which the DestinationRule has it */
export function shownCertificate(credentialName: string, place: Omit<CredentialPlace, 'kind'>, snapshot: Snapshot): BuiltSecret {
  if (snapshot.get('Secret', place.namespace, place.name))
    return credentialCertificate(credentialName, { kind: 'Secret', ...place }, snapshot);
  return { problem: absence(place, snapshot, 'calls for which it is shown are refused (503)') };
}

function absence({ namespace, name }: Omit<CredentialPlace, 'kind'>, snapshot: Snapshot, what: string): string {
  return isUnread(snapshot, 'Secret', namespace, name)
    ? `Secret ${namespace}/${name} may not be read here: ${what}. Name its namespace in gateways.secretNamespaces of the chart.`
    : `Secret ${namespace}/${name} does not exist: ${what}. Create it.`;
}

function built(secret: ResourceOf<'Secret'>, name: string, { keys }: SecretValue): BuiltSecret {
  if (typeof keys === 'string') {
    const value = valueAt(secret, keys);
    return 'problem' in value ? without(name, value.problem) : { secret: secretOf(name, Buffer.from(value.text, 'latin1')) };
  }
  const fields: Record<string, string> = {};
  for (const [field, key] of keys) {
    const value = valueAt(secret, key, field);
    if ('problem' in value) return without(name, value.problem);
    fields[field] = value.text;
  }
  return { secret: secretOf(name, Buffer.from(JSON.stringify(fields), 'latin1')) };
}

function valueAt({ metadata, spec: { data } }: ResourceOf<'Secret'>, key: string, field?: string): ReturnType<typeof fieldValue> {
  const where = `Secret ${metadata.namespace}/${metadata.name}`;
  const mend = 'calls that get it are refused (503). Write the value there.';
  const text = data[key];
  if (!text) return { problem: `${where} has no key ${key}: ${mend}` };
  const value = fieldValue(text.revealText());
  if ('problem' in value) return { problem: `Key ${key} of ${where} ${value.problem}: ${mend}` };
  // What a signature names stands between other words.
  if (field !== undefined && SIGNING.test(field) && value.text.includes(' '))
    return { problem: `Key ${key} of ${where} holds spaces: ${mend}` };
  return value;
}

const SIGNING = /^(?:accessKeyId|secretAccessKey|sessionToken)$/;

function without(name: string, problem: string): BuiltSecret {
  return { secret: secretOf(name, new Uint8Array()), problem };
}

function secretOf(name: string, inlineBytes: Uint8Array): Secret {
  const secret = { specifier: { case: 'inlineBytes', value: inlineBytes } } as const;
  return create(SecretSchema, { name: credentialValueSecret(name), type: { case: 'genericSecret', value: { secret } } });
}
