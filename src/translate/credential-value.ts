/** Values of credentials that a gateway puts into requests, of a key of a Secret each, as SDS has them. */
import { create } from '@bufbuild/protobuf';
import type { ResourceOf } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { isUnread } from '../config/unread.ts';
import { fieldValue } from '../lib/field-value.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { type Secret, SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { credentialValueSecret } from '../xds/injected-secrets.ts';
import type { BuiltSecret } from './secrets-build.ts';

/** @param place `NAMESPACE/NAME/KEY`. Without a value the secret is empty, and calls that need it are refused. */
export function credentialValue(place: string, snapshot: Snapshot): BuiltSecret {
  const [namespace = '', name = '', key = ''] = place.split('/');
  const found = snapshot.get('Secret', namespace, name);
  if (found) return kept.get([found, key], NO_INPUTS, () => ofKey(found, place, key));
  const wrong = isUnread(snapshot, 'Secret', namespace, name)
    ? 'may not be read here: calls that get it are refused (503). Name its namespace in gateways.secretNamespaces of the chart.'
    : 'does not exist: calls that get it are refused (503). Create it.';
  return without(place, `Secret ${namespace}/${name} ${wrong}`);
}

const kept = new Memo<BuiltSecret>();

function ofKey({ metadata: { namespace, name }, spec: { data } }: ResourceOf<'Secret'>, place: string, key: string): BuiltSecret {
  const mend = 'calls that get it are refused (503). Write the value there.';
  const text = data[key];
  if (!text) return without(place, `Secret ${namespace}/${name} has no key ${key}: ${mend}`);
  const value = fieldValue(text.revealText());
  return 'problem' in value
    ? without(place, `Key ${key} of Secret ${namespace}/${name} ${value.problem}: ${mend}`)
    : { secret: secretOf(place, Buffer.from(value.text, 'latin1')) };
}

function without(place: string, problem: string): BuiltSecret {
  return { secret: secretOf(place, new Uint8Array()), problem };
}

function secretOf(place: string, inlineBytes: Uint8Array): Secret {
  const secret = { specifier: { case: 'inlineBytes', value: inlineBytes } } as const;
  return create(SecretSchema, { name: credentialValueSecret(place), type: { case: 'genericSecret', value: { secret } } });
}
