/**
 * Filter-chain match of a listener. Envoy's rules (FilterChainMatch): destination port, destination address, server name, transport protocol, application
 * protocol, direct source, source type, source address, source port, in this order; at each step the most specific value that any chain left
 * names is taken, and there is no way back from it to a less specific one. Pure.
 */

import { CidrMap } from '../../lib/cidr-map.ts';
import { SallyportError } from '../../lib/errors.ts';
import { type Cidr, compileCidr, isLoopback, parseIp, sameIp } from '../../lib/ip.ts';
import {
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatch_ConnectionSourceType,
} from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import type { Listener } from '../gen/envoy/config/listener/v3/listener_pb.js';

/** What filter-chain match reads of a connection, after listener filters. */
export interface ConnectionInfo {
  /** The original destination where one was restored, else the socket's own; the path of a unix socket has port 0. */
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly sourceIp: string;
  readonly sourcePort: number;
  /** The peer of the socket itself, where the source was taken from a PROXY header; `sourceIp` if absent. */
  readonly directSourceIp?: string;
  /** SNI, or empty. */
  readonly serverName: string;
  /** `tls` or `raw_buffer`; empty (nothing detected it) counts as `raw_buffer`. */
  readonly transportProtocol: string;
  /** ALPN of the ClientHello in its order, or what HTTP inspection found (`http/1.0`, `http/1.1`, `h2c`). */
  readonly applicationProtocols: readonly string[];
}

export interface CompiledFilterChain {
  /** Empty where the configuration gives none. */
  readonly name: string;
  readonly config: FilterChain;
  /** Its place in `filter_chains`; -1 for the default filter chain. */
  readonly index: number;
}

export interface FilterChainTable {
  readonly chains: readonly CompiledFilterChain[];
  readonly defaultChain: CompiledFilterChain | undefined;
  /** The chain that takes the connection, or undefined: it is closed, flag NR, details `filter_chain_not_found`. */
  match(connection: ConnectionInfo): CompiledFilterChain | undefined;
}

/** A chain's name, for refusals, and what it matches. */
export interface ChainMatch {
  readonly name: string;
  readonly match: FilterChainMatch | undefined;
}

/** Places of chains in their list. */
type SourcePorts = Map<number, number>;
type SourceIps = CidrMap<SourcePorts>;
type SourceTypes = Map<number, SourceIps>;
type DirectSources = CidrMap<SourceTypes>;
type ApplicationProtocols = Map<string, DirectSources>;
type TransportProtocols = Map<string, ApplicationProtocols>;
type ServerNames = Map<string, TransportProtocols>;
type DestinationIps = CidrMap<ServerNames>;

/** Compiles a listener's chains. Throws what `compileChainMatches` throws. */
export function compileFilterChains(listener: Listener): FilterChainTable {
  const match = compileChainMatches(
    listener,
    listener.filterChains.map((chain) => ({ name: chain.name, match: chain.filterChainMatch })),
  );
  const chains = listener.filterChains.map((config, index): CompiledFilterChain => ({ name: config.name, config, index }));
  const defaultChain: CompiledFilterChain | undefined = listener.defaultFilterChain && {
    name: listener.defaultFilterChain.name,
    config: listener.defaultFilterChain,
    index: -1,
  };
  return {
    chains,
    defaultChain,
    match: (connection) => {
      const place = match(connection);
      return place === undefined ? defaultChain : chains[place];
    },
  };
}

/** The place of the chain that takes a connection, or undefined if none but a default chain does. */
export type ChainMatcher = (connection: ConnectionInfo) => number | undefined;

/**
 * Compiles the matches of a listener's chains, in their order; of the listener, its own `filter_chains` are not looked at. Throws `xds-invalid` for two
 * chains with the same match and for what Envoy refuses as well, `xds-unsupported` for matchers of other kinds.
 */
export function compileChainMatches(listener: Listener, chains: readonly ChainMatch[]): ChainMatcher {
  if (listener.filterChainMatcher) {
    throw new SallyportError(
      'xds-unsupported',
      `listener "${listener.name}": filter_chain_matcher is not supported; use filter_chain_match`,
    );
  }
  const ports = new Map<number, DestinationIps>();
  for (const [place, { match }] of chains.entries()) {
    add(ports, place, match, listener.name, (other) => {
      const names = [other, place].map((each) => `"${chains[each]!.name || `#${each}`}"`).join(' and ');
      throw new SallyportError('xds-invalid', `listener "${listener.name}": filter chains ${names} have the same matching rules`);
    });
  }
  return (connection) => find(ports, connection);
}

function add(
  ports: Map<number, DestinationIps>,
  place: number,
  match: FilterChainMatch | undefined,
  listener: string,
  refuse: (other: number) => never,
): void {
  if (match?.addressSuffix || match?.suffixLen !== undefined) {
    throw new SallyportError(
      'xds-unsupported',
      `listener "${listener}": filter_chain_match.address_suffix is not implemented (nor is it in Envoy)`,
    );
  }
  const destinations = orAny(match?.prefixRanges.map(compileCidr));
  const directSources = orAny(match?.directSourcePrefixRanges.map(compileCidr));
  const sources = orAny(match?.sourcePrefixRanges.map(compileCidr));
  const names = match?.serverNames.length ? match.serverNames.map((name) => serverNameKey(name, listener)) : [''];
  const protocols = match?.applicationProtocols.length ? match.applicationProtocols : [''];
  const sourcePorts = match?.sourcePorts.length ? match.sourcePorts : [0];
  const ips = ensure(ports, match?.destinationPort ?? 0, () => new CidrMap<ServerNames>());
  for (const destination of destinations) {
    const byName = ips.ensure(destination, () => new Map());
    for (const name of names) {
      const byTransport = ensure(byName, name, () => new Map());
      const byProtocol: ApplicationProtocols = ensure(byTransport, match?.transportProtocol ?? '', () => new Map());
      for (const protocol of protocols) {
        const byDirect = ensure(byProtocol, protocol, () => new CidrMap<SourceTypes>());
        for (const direct of directSources) {
          const byType = byDirect.ensure(direct, () => new Map());
          const bySource = ensure(byType, match?.sourceType ?? 0, () => new CidrMap<SourcePorts>());
          for (const source of sources) {
            const byPort = bySource.ensure(source, () => new Map());
            for (const port of sourcePorts) {
              const other = byPort.get(port);
              // One chain may name a value twice; two chains may not.
              if (other !== undefined && other !== place) refuse(other);
              byPort.set(port, place);
            }
          }
        }
      }
    }
  }
}

function ensure<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}

function orAny(ranges: Cidr[] | undefined): (Cidr | undefined)[] {
  return ranges?.length ? ranges : [undefined];
}

/** `*.example.com` is kept as `.example.com`. */
function serverNameKey(name: string, listener: string): string {
  const key = name.startsWith('*.') ? name.slice(1) : name;
  if (key.includes('*')) {
    throw new SallyportError(
      'xds-invalid',
      `listener "${listener}": server name "${name}" has a wildcard elsewhere than as its first label`,
    );
  }
  return key.toLowerCase();
}

function find(ports: Map<number, DestinationIps>, connection: ConnectionInfo): number | undefined {
  const destinations = ports.get(connection.destinationPort) ?? ports.get(0);
  if (!destinations) return undefined;
  const destination = parseIp(connection.destinationIp);
  const names = destinations.get(destination);
  if (!names) return undefined;
  const transports = byServerName(names, connection.serverName);
  if (!transports) return undefined;
  const protocols = transports.get(connection.transportProtocol || 'raw_buffer') ?? transports.get('');
  if (!protocols) return undefined;
  const directs = byApplicationProtocol(protocols, connection.applicationProtocols);
  if (!directs) return undefined;
  const source = parseIp(connection.sourceIp);
  const types = directs.get(connection.directSourceIp === undefined ? source : parseIp(connection.directSourceIp));
  if (!types) return undefined;
  const local = isLocal(destination, source);
  const { ANY, SAME_IP_OR_LOOPBACK, EXTERNAL } = SOURCE_TYPE;
  const sources = types.get(local ? SAME_IP_OR_LOOPBACK : EXTERNAL) ?? types.get(ANY);
  const sourcePorts = sources?.get(source);
  return sourcePorts?.get(connection.sourcePort) ?? sourcePorts?.get(0);
}

const SOURCE_TYPE = FilterChainMatch_ConnectionSourceType;

function byServerName(names: ServerNames, serverName: string): TransportProtocols | undefined {
  if (serverName !== '') {
    const name = serverName.toLowerCase();
    const exact = names.get(name);
    if (exact) return exact;
    for (let dot = name.indexOf('.', 1); dot > 0 && dot < name.length - 1; dot = name.indexOf('.', dot + 1)) {
      const wildcard = names.get(name.slice(dot));
      if (wildcard) return wildcard;
    }
  }
  return names.get('');
}

function byApplicationProtocol(protocols: ApplicationProtocols, offered: readonly string[]): DirectSources | undefined {
  for (const protocol of offered) {
    const match = protocols.get(protocol);
    if (match) return match;
  }
  return protocols.get('');
}

/** A connection without IP addresses (a unix socket) counts as local. */
function isLocal(destination: ReturnType<typeof parseIp>, source: ReturnType<typeof parseIp>): boolean {
  if (!destination || !source) return true;
  return isLoopback(source) || sameIp(destination, source);
}
