/**
 * Virtual hosts as resources of their own (VHDS): a route configuration without them is small, and a change pushes the hosts that changed. Envoy asks for all there
 * are, and takes those under the name of a route configuration that it has, as in a folder: none waits for a call to its host.
 */

import { create, toBinary } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { contentHash } from '../encode.ts';
import { isFromRelease } from '../envoy-version.ts';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.js';
import { ApiVersion } from '../gen/envoy/config/core/v3/config_source_pb.js';
import { RouteConfigurationSchema } from '../gen/envoy/config/route/v3/route_pb.js';
import { TAKES_VIRTUAL_HOSTS } from '../node.ts';
import { EncodedList, ResourceTable } from '../resource-table.ts';
import type { EncodedResource, ResourceType } from '../resources.ts';
import { type EncodedSet, listIn } from '../update.ts';
import { lastValue, splitMessage, tagOf, varintSize, writeVarint } from '../wire.ts';

/** The first 1.x that was seen to take virtual hosts from the stream that has everything else. */
const FIRST_THAT_TAKES = 40;

/** Envoys that were started otherwise than by us were not seen with them. */
export function takesVirtualHosts(node: Node): boolean {
  const asks = node.metadata?.[TAKES_VIRTUAL_HOSTS] === 'true';
  return asks && node.userAgentName === 'envoy' && isFromRelease(node, FIRST_THAT_TAKES);
}

/** Of route configurations without their hosts. */
const PARTED = 'vhds-';

/** Whether a client that has a route configuration in this version has it with its hosts: it would have none for a moment, were it parted now. */
export function isWhole(name: string, version: string): boolean {
  return !isNeverParted(name) && !version.startsWith(PARTED);
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
    made = isNeverParted(route.name) ? { route, hosts: [] } : part(route);
    parted.set(route, made);
  }
  return made;
}

/** What stands before the last slash is the folder: a name with slashes would be another one's. */
function isNeverParted(name: string): boolean {
  return name.includes('/');
}

/** The names of the route configuration and of the host that a resource stands for. */
export function placeOfHost(called: string): readonly [routes: string, host: string] {
  const slash = called.indexOf('/');
  return [
    called.slice(0, slash),
    called
      .slice(slash + 1)
      .replaceAll('%2F', '/')
      .replaceAll('%25', '%'),
  ];
}

const { number: HOSTS } = RouteConfigurationSchema.field.virtualHosts;
const HOST_NAME = 1;

function part({ name, bytes }: EncodedResource): Parted {
  const { rest, parts } = splitMessage(bytes, HOSTS);
  // Where there are none, Envoy would wait for them.
  const frame = parts.length > 0 ? Buffer.concat([rest, FROM_THE_STREAM]) : bytes;
  const hosts = parts.map((host): EncodedResource => {
    const own = Buffer.from(lastValue(host, HOST_NAME) ?? []).toString('utf8');
    const called = `${name}/${own.replaceAll('%', '%25').replaceAll('/', '%2F')}`;
    // Envoy takes a host away by its name; of a field that stands twice the last counts.
    const whole = Buffer.concat([host, textField(HOST_NAME, called)]);
    return { type: 'virtualHost', name: called, version: contentHash(whole), bytes: whole };
  });
  return { route: { type: 'route', name, version: PARTED + contentHash(frame), bytes: frame }, hosts };
}

/** The field `vhds` of a route configuration. */
const FROM_THE_STREAM = toBinary(
  RouteConfigurationSchema,
  create(RouteConfigurationSchema, {
    vhds: {
      configSource: {
        configSourceSpecifier: { case: 'ads', value: {} },
        resourceApiVersion: ApiVersion.V3,
        // As with routes: what is new comes into force with its hosts, however long that takes.
        initialFetchTimeout: create(DurationSchema),
      },
    },
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
