/** Sets for clients that did not prove who they are: without what only its owner may have. */
import { fromBinary } from '@bufbuild/protobuf';
import { SecretSchema } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { EncodedList, ResourceTable } from '../../xds/resource-table.ts';
import type { EncodedResource, ResourceType } from '../../xds/resources.ts';
import { type EncodedSet, listIn } from '../../xds/update.ts';

const TYPES: readonly ResourceType[] = ['cluster', 'endpoint', 'secret', 'route', 'listener', 'nameTable'];

const sets = new WeakMap<EncodedSet, EncodedSet>();
const lists = new WeakMap<EncodedList, EncodedList>();

/** The set without private keys. Certificates to verify others by, and the paths of files on the client's own machine, stay. */
export function withoutKeys(set: EncodedSet): EncodedSet {
  let made = sets.get(set);
  if (!made) {
    const withoutSecrets = TYPES.map((type) => (type === 'secret' ? publicOf(listIn(set, type)) : listIn(set, type)));
    made = { version: `${set.version} without keys`, resources: new ResourceTable(withoutSecrets) };
    sets.set(set, made);
  }
  return made;
}

/** Names of the secrets that only their owner may have. */
export function keysIn(set: EncodedSet): readonly string[] {
  const others = listIn(withoutKeys(set), 'secret');
  return listIn(set, 'secret').all.flatMap(({ name }) => (others.get(name) ? [] : [name]));
}

function publicOf(list: EncodedList): EncodedList {
  let made = lists.get(list);
  if (!made) {
    made = new EncodedList(list.type, list.all.filter(isPublic));
    lists.set(list, made);
  }
  return made;
}

function isPublic({ bytes }: EncodedResource): boolean {
  const { type } = fromBinary(SecretSchema, bytes);
  if (type.case === 'validationContext') return true;
  if (type.case !== 'tlsCertificate') return false;
  const { privateKey, password, pkcs12 } = type.value;
  return privateKey?.specifier.case === 'filename' && !password && !pkcs12;
}
