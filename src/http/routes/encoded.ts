/**
 * Route configurations as they come over the wire. One with ten thousand virtual hosts is taken over without keeping what it decodes to: each host is
 * checked once, stays as bytes, and is compiled when the first request comes to it. A host whose bytes are the same in the next version stays what it
 * is. Pure.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.js';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.js';
import type { RoutesPatch } from '../../xds/resources.ts';
import { lastValue, sameBytes, splitMessage } from '../../xds/wire.ts';
import type { FormatContext } from '../format/operator.ts';
import type { HostTable } from './hosts.ts';
import type { RouteTable } from './model.ts';
import { checkRouteConfiguration, compileVirtualHost, indexDomains, tableOf, type VirtualHostRoutes } from './route.ts';

const VIRTUAL_HOSTS = RouteConfigurationSchema.field.virtualHosts.number;
const NAME = VirtualHostSchema.field.name.number;

/** One version of a route configuration. */
export interface EncodedRoutes {
  readonly table: RouteTable;
  /** For the version that comes after it. */
  readonly parts: Parts;
}

interface Parts {
  readonly config: RouteConfiguration;
  /** Everything but the virtual hosts. */
  readonly rest: Uint8Array;
  readonly hosts: readonly EncodedHost[];
  readonly index: HostTable<number>;
}

class EncodedHost {
  readonly name: string;
  readonly domains: readonly string[];
  /** In the newest version that came whole and has this host, or in a patch after it: older versions can be let go. */
  bytes: Uint8Array;
  #compiled: VirtualHostRoutes | undefined;
  readonly #config: RouteConfiguration;
  readonly #context: FormatContext;

  /** Throws what `compileVirtualHost` throws. */
  constructor(bytes: Uint8Array, config: RouteConfiguration, context: FormatContext) {
    this.bytes = bytes;
    this.#config = config;
    this.#context = context;
    const { config: host } = this.#compile();
    this.name = host.name;
    this.domains = host.domains;
  }

  readonly routes = (): VirtualHostRoutes => {
    this.#compiled ??= this.#compile();
    return this.#compiled;
  };

  #compile(): VirtualHostRoutes {
    return compileVirtualHost(fromBinary(VirtualHostSchema, this.bytes), this.#config, this.#context);
  }
}

/**
 * Compiles a version in steps, one for each virtual host that is new or changed, so that the caller may do other things between them. Throws what
 * `compileRouteConfiguration` throws. `before`: the version in force.
 */
export function* compileEncodedRoutes(
  bytes: Uint8Array,
  context: FormatContext,
  before: EncodedRoutes | undefined,
): Generator<void, EncodedRoutes> {
  const { rest, parts } = splitMessage(bytes, VIRTUAL_HOSTS);
  const find = before && finder(before.parts.hosts);
  const wanted = parts.map((part, place) => ({ bytes: part, known: find?.(part, place) }));
  return yield* compileHosts(rest, wanted, context, before?.parts);
}

/** As `compileEncodedRoutes`, from a patch for `before`. */
export function* patchEncodedRoutes(patch: RoutesPatch, context: FormatContext, before: EncodedRoutes): Generator<void, EncodedRoutes> {
  const wanted = patch.hosts.flatMap((run): Wanted[] =>
    run instanceof Uint8Array
      ? [{ bytes: run, known: undefined }]
      : before.parts.hosts.slice(run.start, run.end).map((known) => ({ bytes: known.bytes, known })),
  );
  return yield* compileHosts(patch.frame, wanted, context, before.parts);
}

/** A host of a version that comes, and the one with the same bytes in the version in force. */
interface Wanted {
  readonly bytes: Uint8Array;
  readonly known: EncodedHost | undefined;
}

function* compileHosts(
  rest: Uint8Array,
  wanted: readonly Wanted[],
  context: FormatContext,
  before: Parts | undefined,
): Generator<void, EncodedRoutes> {
  const same = before && sameBytes(rest, before.rest) ? before : undefined;
  const config = same?.config ?? fromBinary(RouteConfigurationSchema, rest);
  checkRouteConfiguration(config);
  const hosts: EncodedHost[] = [];
  for (const { bytes, known } of wanted) {
    if (same && known) hosts.push(known);
    else {
      hosts.push(new EncodedHost(bytes, config, context));
      yield;
    }
  }
  const index = same && sameDomains(hosts, same.hosts) ? same.index : indexDomains(hosts, config);
  // Only now that nothing can be refused any more.
  for (const [place, host] of hosts.entries()) host.bytes = wanted[place]!.bytes;
  const all = hosts.map(({ routes }) => routes);
  return { table: tableOf(config, all, index), parts: { config, rest, hosts, index } };
}

/** Finds the host that has these bytes: most stand where they stood before, and one that was added or removed moves those after it. */
function finder(hosts: readonly EncodedHost[]): (part: Uint8Array, place: number) => EncodedHost | undefined {
  const decoder = new TextDecoder();
  let byName: Map<string, EncodedHost> | undefined;
  return (part, place) => {
    const there = hosts[place];
    if (there && sameBytes(there.bytes, part)) return there;
    byName ??= new Map(hosts.map((host) => [host.name, host]));
    const moved = byName.get(decoder.decode(lastValue(part, NAME)));
    return moved && sameBytes(moved.bytes, part) ? moved : undefined;
  };
}

function sameDomains(a: readonly EncodedHost[], b: readonly EncodedHost[]): boolean {
  return a.length === b.length && a.every((host, i) => host === b[i] || host.domains.join() === b[i]!.domains.join());
}
