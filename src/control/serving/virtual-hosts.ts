/**
 * Virtual hosts as resources of their own (VHDS): a route configuration without them is small, and a change pushes the hosts that changed. Envoy asks for all there
 * are, and takes those under the name of a route configuration that it has, as in a folder: none waits for a call to its host.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { contentHash } from '../../xds/encode.ts';
import { isFromRelease } from '../../xds/envoy-version.ts';
import type { Node } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { ApiVersion } from '../../xds/gen/envoy/config/core/v3/config_source_pb.js';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import { EncodedList, ResourceTable } from '../../xds/resource-table.ts';
import type { EncodedResource, ResourceType } from '../../xds/resources.ts';
import { type EncodedSet, listIn } from '../../xds/update.ts';
import { lastValue, splitMessage, tagOf, varintSize, writeVarint } from '../../xds/wire.ts';

/** The first 1.x that was seen to take virtual hosts from the stream that has everything else. */
const FIRST_THAT_TAKES = 40;

export function takesVirtualHosts(node: Node): boolean {
  return node.userAgentName === 'envoy' && isFromRelease(node, FIRST_THAT_TAKES);
}

const sets = new WeakMap<EncodedSet, EncodedSet>();
const lists = new WeakMap<EncodedList, readonly [EncodedList, EncodedList]>();
const parted = new WeakMap<EncodedResource, Parted>();

interface Parted {
  readonly route: EncodedResource;
  readonly hosts: readonly EncodedResource[];
}

/** The set with every virtual host under `ROUTE CONFIGURATION/HOST`. */
export function withVirtualHosts(set: EncodedSet): EncodedSet {
  let made = sets.get(set);
  if (!made) {
    const [routes, hosts] = partedList(listIn(set, 'route'));
    const others = OTHERS.map((type) => listIn(set, type));
    made = { version: `${set.version} by virtual host`, resources: new ResourceTable([...others, routes, hosts]) };
    sets.set(set, made);
  }
  return made;
}

const OTHERS: readonly ResourceType[] = ['cluster', 'endpoint', 'secret', 'listener', 'nameTable'];

function partedList(list: EncodedList): readonly [EncodedList, EncodedList] {
  let made = lists.get(list);
  if (!made) {
    const each = list.all.map(partedOf);
    made = [
      new EncodedList(
        'route',
        each.map(({ route }) => route),
      ),
      new EncodedList(
        'virtualHost',
        each.flatMap(({ hosts }) => hosts),
      ),
    ];
    lists.set(list, made);
  }
  return made;
}

function partedOf(route: EncodedResource): Parted {
  let made = parted.get(route);
  if (!made) {
    // What stands before the last slash is the folder: a name with slashes would be another one's.
    made = route.name.includes('/') ? { route, hosts: [] } : part(route);
    parted.set(route, made);
  }
  return made;
}

const { number: HOSTS } = RouteConfigurationSchema.field.virtualHosts;
const HOST_NAME = 1;

function part({ name, bytes }: EncodedResource): Parted {
  const { rest, parts } = splitMessage(bytes, HOSTS);
  const frame = Buffer.concat([rest, FROM_THE_STREAM]);
  const hosts = parts.map((host): EncodedResource => {
    const own = Buffer.from(lastValue(host, HOST_NAME) ?? []).toString('utf8');
    const called = `${name}/${own.replaceAll('%', '%25').replaceAll('/', '%2F')}`;
    // Envoy takes a host away by its name; of a field that stands twice the last counts.
    const whole = Buffer.concat([host, textField(HOST_NAME, called)]);
    return { type: 'virtualHost', name: called, version: contentHash(whole), bytes: whole };
  });
  return { route: { type: 'route', name, version: contentHash(frame), bytes: frame }, hosts };
}

/** The field `vhds` of a route configuration. */
const FROM_THE_STREAM = toBinary(
  RouteConfigurationSchema,
  create(RouteConfigurationSchema, {
    vhds: { configSource: { configSourceSpecifier: { case: 'ads', value: {} }, resourceApiVersion: ApiVersion.V3 } },
  }),
);

function textField(number: number, text: string): Uint8Array {
  const value = Buffer.from(text, 'utf8');
  // Fields of text are tagged as those of messages are.
  const tag = tagOf(number);
  const bytes = new Uint8Array(varintSize(tag) + varintSize(value.length) + value.length);
  bytes.set(value, writeVarint(bytes, writeVarint(bytes, 0, tag), value.length));
  return bytes;
}
