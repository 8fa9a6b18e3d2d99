/** Destination binding: whether all that a call says of where it goes agrees. Pure: traffic and simulation ask the same. docs/decisions/binding.md says why. */
import type { JsonValue } from '@bufbuild/protobuf';
import { hostCovers, isWildcard } from '../../lib/hostname.ts';
import { type Cidr, cidrContains, isIp, parseIp, parseRange, sameIp } from '../../lib/ip.ts';
import type { Metadata } from '../gen/envoy/config/core/v3/base_pb.js';
import { SALLYPORT_METADATA } from '../names.ts';

/** What a virtual host, filter chain or cluster is bound to (`metadata.filter_metadata.sallyport.bind`). */
export interface Binding {
  /** `audit`: calls that disagree go on, and their records say so. */
  readonly mode: 'audit' | 'enforce';
  /** In lower case; wildcards too. */
  readonly hosts: readonly string[];
  readonly ports: readonly number[];
  /** At which the hosts are called; none where nobody knows. */
  readonly addresses: readonly Cidr[];
  /** The bytes are TLS, in which SNI is all that names the host: a connection without one is none of the hosts'. */
  readonly needsServerName: boolean;
}

/** What a call says of where it goes. */
export interface BoundCall {
  /** The name or address that a client of the explicit proxy asked for. */
  readonly asked: string | undefined;
  /** Of TLS that the application began, empty for none; undefined within TLS that proxies of the mesh have between them, where this one does not look. */
  readonly serverName: string | undefined;
  /** Of an HTTP request: port 0 where its authority names none. Undefined for other protocols. */
  readonly authority: { readonly host: string; readonly port: number } | undefined;
  /** Where the client connected to; undefined where that is the proxy's own address (gateways). */
  readonly dialled: { readonly ip: string; readonly port: number } | undefined;
}

/** The two that disagree. */
export interface Disagreement {
  readonly what: string;
  readonly with: string;
}

const bindings = new WeakMap<Metadata, Binding | null>();

/** Undefined where nothing is bound. What is there and not understood is enforced. */
export function bindingOf(metadata: Metadata | undefined): Binding | undefined {
  if (!metadata) return undefined;
  let binding = bindings.get(metadata);
  if (binding === undefined) {
    binding = readBinding(metadata.filterMetadata[SALLYPORT_METADATA]?.bind) ?? null;
    bindings.set(metadata, binding);
  }
  return binding ?? undefined;
}

function readBinding(bind: JsonValue | undefined): Binding | undefined {
  if (bind === undefined) return undefined;
  const { mode = null, hosts = null, ports = null, addresses = null, sni = null } = isObject(bind) ? bind : {};
  return {
    mode: mode === 'audit' ? 'audit' : 'enforce',
    hosts: list(hosts).filter((host) => typeof host === 'string'),
    ports: list(ports).filter((port) => typeof port === 'number'),
    addresses: list(addresses).flatMap((range) => (typeof range === 'string' ? (parseRange(range) ?? []) : [])),
    needsServerName: sni === true,
  };
}

function isObject(value: JsonValue): value is { [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

/**
 * Whether the proxy goes to the address that its client dialled because of a name alone: then that name has to lead there. `mode` audit asks nobody.
 */
export function dialsByName(binding: Binding | undefined): binding is Binding {
  return binding?.mode === 'enforce' && binding.addresses.length === 0;
}

/** The name that has to lead to the address; undefined if nothing says one. */
export function nameDialled({ hosts }: Binding, said: readonly (string | undefined)[]): string | undefined {
  const name = said.map((each) => plainName(each ?? '')).find((each) => each !== '' && !isIp(each));
  return name ?? hosts.find((host) => !isWildcard(host));
}

/** The first two things that disagree, or undefined: names with each other, names with the declared hosts, addresses, ports. */
export function disagreement(binding: Binding, call: BoundCall): Disagreement | undefined {
  if (saysTheHost(binding, call)) return undefined;
  const { asked, serverName, authority, dialled } = call;
  const named: readonly Named[] = [
    ...(asked === undefined ? [] : [{ what: 'the destination asked for', name: plainName(asked) }]),
    ...(!serverName ? [] : [{ what: 'SNI', name: plainName(serverName) }]),
    ...(authority ? [{ what: 'Host', name: plainName(authority.host) }] : []),
  ];
  return (
    namesDisagree(binding, named) ??
    addressDisagrees(binding, named, dialled?.ip) ??
    portDisagrees(binding, authority?.port ?? 0, dialled?.port) ??
    (binding.needsServerName && serverName === '' && !authority ? { what: 'TLS without SNI', with: declared(binding) } : undefined)
  );
}

/** Most calls, at a look: all names are the one declared host as it is written. Of one that dialled an address more has to agree. */
function saysTheHost({ hosts, ports }: Binding, { asked, serverName, authority, dialled }: BoundCall): boolean {
  const [host] = hosts;
  if (host === undefined || hosts.length > 1 || dialled !== undefined || authority?.host !== host) return false;
  if ((asked !== undefined && asked !== host) || (serverName && serverName !== host)) return false;
  // An address, whose notations differ, ends with a digit or has a colon.
  return (authority.port === 0 || ports.includes(authority.port)) && /^[^*:]*[a-z]$/.test(host);
}

interface Named {
  readonly what: string;
  readonly name: string;
}

function namesDisagree({ hosts, ...binding }: Binding, named: readonly Named[]): Disagreement | undefined {
  const names = named.filter(({ name }) => !isIp(name));
  const [first] = names;
  const other = names.find(({ name }) => name !== first!.name);
  if (first && other) return { what: text(other), with: text(first) };
  if (first && !hosts.some((host) => hostCovers(host, first.name))) return { what: text(first), with: declared({ hosts, ...binding }) };
  return undefined;
}

function addressDisagrees(binding: Binding, named: readonly Named[], dialled: string | undefined): Disagreement | undefined {
  const { addresses } = binding;
  const literal = named.find(({ name }) => isIp(name));
  if (literal && dialled !== undefined && !sameIp(parseIp(literal.name)!, parseIp(dialled) ?? []))
    return { what: text(literal), with: `the address ${dialled} that was dialled` };
  // Whoever asked the explicit proxy for the name has its address from there.
  const resolvedHere = named[0]?.what === 'the destination asked for' && !isIp(named[0].name);
  if (dialled !== undefined && !resolvedHere && !isWithin(addresses, dialled))
    return { what: `the address ${dialled} that was dialled`, with: named.map(text)[0] ?? declared(binding) };
  if (literal && !isWithin(addresses, literal.name)) return { what: text(literal), with: declared(binding) };
  return undefined;
}

/** Where no addresses are known, nothing is said against any. */
function isWithin(addresses: readonly Cidr[], text: string): boolean {
  const ip = parseIp(text);
  return addresses.length === 0 || (ip !== undefined && addresses.some((range) => cidrContains(range, ip)));
}

function portDisagrees({ ports, ...binding }: Binding, named: number, dialled: number | undefined): Disagreement | undefined {
  if (named === 0) return undefined;
  if (dialled !== undefined && named !== dialled) return { what: `port ${named} of the Host`, with: `port ${dialled} that was dialled` };
  return ports.includes(named)
    ? undefined
    : { what: `port ${named} of the Host`, with: `the declared ports of ${binding.hosts.join(', ')}` };
}

function text({ what, name }: Named): string {
  return `${what} ${name}`;
}

function declared({ hosts }: Pick<Binding, 'hosts'>): string {
  return `the declared host ${hosts.join(', ')}`;
}

/** As names are compared: in lower case, without the trailing dot. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** What a refusal says to people. */
export function disagreementText({ what, with: other }: Disagreement): string {
  return `${what} and ${other} disagree`;
}

/** `%RESPONSE_CODE_DETAILS%` or `%CONNECTION_TERMINATION_DETAILS%` of what is refused: one word, so that a text log stays one field a value. */
export function disagreementDetails(found: Disagreement): string {
  return `binding_refused{${disagreementText(found).replace(/\s+/g, '_')}}`;
}
