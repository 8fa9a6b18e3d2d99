/** A VirtualService is converted by halves: what it says to each of its Gateways, and what it says to sidecars. */
import type { HttpRoute, L4MatchAttributes, ResourceOf, TlsMatchAttributes } from '../api/index.ts';
import type { PathStep } from '../api/resource.ts';
import { type BackendPlace, backends } from './backends.ts';
import { convertRule, type IndexedMatch } from './http-rule.ts';
import { type ConvertInput, isHostname, type Made, type MadeKind, type Maker, type Problems } from './model.ts';
import { inApiOrder, orderProblem, rulesInOneRank } from './order.ts';

export type VirtualService = ResourceOf<'VirtualService'>;

/** Where the routes of a half are attached. */
export interface Attachment {
  /** As a VirtualService names it: `mesh`, or `namespace/name` of a Gateway. */
  readonly gateway: string;
  readonly parentRef: object;
  /** Of the routes. */
  readonly namespace: string;
  /** Empty if the parent itself determines the hosts, as in the mesh. */
  readonly hostnames: readonly string[];
  /** Of the proxies that carry the routes, as far as they are all in one. */
  readonly clientNamespace: string;
  /** Ports of the parent that speak HTTP, TLS and TCP. */
  readonly ports: Readonly<Record<'http' | 'tls' | 'tcp', readonly number[]>>;
  /** Whether HTTP is on port 80 only, and HTTPS on 443. */
  readonly usualPorts: boolean;
  /** Networks that the parent has anyway, so that a rule which names them says nothing. */
  readonly subnets: readonly string[];
  /** Suffix of the routes' names. */
  readonly suffix: string;
}

/** A route to be made once the half is found to convert. */
export interface Draft {
  readonly kind: MadeKind;
  readonly namespace: string;
  readonly name: string;
  readonly spec: { readonly parentRefs: readonly object[] };
}

/** Merges routes that differ only in their parent into one route with several parents. */
export function makeAll(maker: Maker, drafts: readonly Draft[]): Made[] {
  const groups = Map.groupBy(drafts, ({ kind, namespace, spec: { parentRefs: _, ...rest } }) => JSON.stringify([kind, namespace, rest]));
  return [...groups.values()].map((group) => {
    const { kind, namespace, name, spec } = group[0]!;
    const parentRefs = group.flatMap((draft) => draft.spec.parentRefs);
    const distinct = [...new Map(parentRefs.map((parent) => [JSON.stringify(parent), parent])).values()];
    return maker.make(kind, namespace, name, { ...spec, parentRefs: distinct });
  });
}

interface Half {
  readonly input: ConvertInput;
  readonly virtualService: VirtualService;
  readonly attachment: Attachment;
  readonly problems: Problems;
}

export function draftsOf(half: Half): Draft[] {
  return [...httpDrafts(half), ...tlsDrafts(half), ...tcpDrafts(half)];
}

interface AnyMatch {
  readonly port?: number;
  readonly gateways: readonly string[];
}

/** Whether a match (whose own list of gateways stands in for the object's) is for this parent. */
function concerns({ virtualService, attachment }: Pick<Half, 'virtualService' | 'attachment'>, match: AnyMatch): boolean {
  const { namespace } = virtualService.metadata;
  const full = match.gateways.map((name) => (name === 'mesh' || name.includes('/') ? name : `${namespace}/${name}`));
  return full.length === 0 || full.includes(attachment.gateway);
}

/** Whether any rule is for the parent. Without one its half is empty and needs no route. */
export function saysAnything(half: Pick<Half, 'virtualService' | 'attachment'>): boolean {
  const { http, tls, tcp } = half.virtualService.spec;
  return [...http, ...tls, ...tcp].some(({ match }) => match.length === 0 || match.some((each) => concerns(half, each)));
}

/** Rules name ports, a route's parent reference has one: a route for each port, or a single one where no rule names any. */
function portsOf(ports: readonly number[], matches: readonly AnyMatch[]): readonly (number | undefined)[] {
  return matches.some(({ port }) => port) ? ports : ports.length > 0 ? [undefined] : [];
}

interface ChosenRule {
  readonly rule: HttpRoute;
  readonly index: number;
  readonly matches: readonly IndexedMatch[];
}

const MOST_RULES = 16;
const MOST_HOSTNAMES = 16;

function httpDrafts(half: Half): Draft[] {
  const { virtualService, attachment, problems } = half;
  const { http } = virtualService.spec;
  const relevant = http.flatMap(({ match }) => match.filter((each) => concerns(half, each)));
  return portsOf(attachment.ports.http, relevant).flatMap((port) => {
    const rules = http.flatMap((rule, index): ChosenRule[] => {
      const matches = rule.match
        .map((match, at) => ({ match, index: at }))
        .filter(({ match }) => concerns(half, match) && (!match.port || match.port === port));
      return rule.match.length === 0 || matches.length > 0 ? [{ rule, index, matches }] : [];
    });
    if (rules.length === 0) return [];
    // No request gets past a rule that matches everything.
    const last = rules.findIndex(({ matches }) => matches.length === 0 || matches.some(({ match }) => takesEverything(match)));
    if (last >= 0) rules.splice(last + 1);
    const place: BackendPlace = {
      namespace: virtualService.metadata.namespace,
      routeNamespace: attachment.namespace,
      clientNamespace: attachment.clientNamespace,
      ports: port === undefined ? attachment.ports.http : [port],
    };
    const backendOf = backends(half.input, place);
    const made = rules.map(({ rule, index, matches }) =>
      convertRule(rule, matches, { problems, path: ['spec', 'http', index], backendOf, usualPorts: attachment.usualPorts }),
    );
    const converted = rulesInOneRank(made);
    if (problems.none) {
      const problem = orderProblem(inApiOrder(rules.map(({ index }, at) => ({ index, matches: matchesOf(converted[at]!) }))));
      if (problem) problems.add(['spec', 'http', problem.index], problem.reason);
    }
    return chunks(hostnamesOf(half), MOST_HOSTNAMES).flatMap((hostnames) =>
      chunks(converted, MOST_RULES).map((part) =>
        draft(half, 'HTTPRoute', port, { ...(hostnames.length > 0 && { hostnames }), rules: part }),
      ),
    );
  });
}

function takesEverything({ uri, method, headers, queryParams, withoutHeaders, ...match }: IndexedMatch['match']): boolean {
  const conditions = [
    ...Object.keys(headers),
    ...Object.keys(queryParams),
    ...Object.keys(withoutHeaders),
    ...Object.keys(match.sourceLabels),
  ];
  const narrows = method ?? match.scheme ?? match.authority ?? match.sourceNamespace;
  return (!uri || uri.prefix === '/') && narrows === undefined && conditions.length === 0;
}

function matchesOf(rule: object): readonly object[] | undefined {
  return (rule as { readonly matches?: readonly object[] }).matches;
}

/** At a Gateway: the hosts of the VirtualService. A route without hostnames stands for `*`. */
function hostnamesOf({ attachment, problems }: Half): readonly string[] {
  const { hostnames } = attachment;
  if (hostnames.includes('*')) return [];
  hostnames.forEach((host, index) => {
    if (!isHostname(host)) problems.add(['spec', 'hosts', index], `"${host}" is no hostname of a route`);
  });
  return hostnames;
}

function draft({ virtualService, attachment }: Half, kind: MadeKind, port: number | undefined, more: object): Draft {
  const { name } = virtualService.metadata;
  const spec = { parentRefs: [{ ...attachment.parentRef, ...(port !== undefined && { port }) }], ...more };
  return {
    kind,
    namespace: attachment.namespace,
    name: `${name}${attachment.suffix}${port !== undefined && several(attachment, kind) ? `-${port}` : ''}`,
    spec,
  };
}

/** Whether names of routes must tell ports apart. */
function several({ ports }: Attachment, kind: MadeKind): boolean {
  const list = kind === 'HTTPRoute' ? ports.http : kind === 'TLSRoute' ? ports.tls : ports.tcp;
  return list.length > 1;
}

function tlsDrafts(half: Half): Draft[] {
  const { virtualService, attachment, problems } = half;
  const relevant = virtualService.spec.tls.flatMap(({ match }) => match.filter((each) => concerns(half, each)));
  return portsOf(attachment.ports.tls, relevant).flatMap((port) =>
    virtualService.spec.tls.flatMap((rule, index): Draft[] => {
      const path = ['spec', 'tls', index];
      const matches = rule.match
        .map((match, at) => ({ match, at }))
        .filter(({ match }) => concerns(half, match) && (!match.port || match.port === port));
      if (matches.length === 0 || rule.route.length === 0) return [];
      const hostnames = [...new Set(matches.flatMap(({ match }) => match.sniHosts.map((host) => host.toLowerCase())))];
      for (const { match, at } of matches) {
        streamMatch(half, match, [...path, 'match', at]);
        match.sniHosts.forEach((host, position) => {
          if (!isHostname(host.toLowerCase()))
            problems.add([...path, 'match', at, 'sniHosts', position], `"${host}" is no hostname of a TLSRoute`);
        });
      }
      return [draft(half, 'TLSRoute', port, { hostnames, rules: [{ backendRefs: streamBackends(half, rule.route, path, port, 'tls') }] })];
    }),
  );
}

function tcpDrafts(half: Half): Draft[] {
  const { virtualService, attachment } = half;
  const { tcp } = virtualService.spec;
  return (tcp.length > 0 ? attachment.ports.tcp : []).flatMap((port): Draft[] => {
    // Plain TCP has nothing to match on, so the first rule takes every connection.
    for (const [index, rule] of tcp.entries()) {
      const matches = rule.match
        .map((match, at) => ({ match, at }))
        .filter(({ match }) => concerns(half, match) && (!match.port || match.port === port));
      if (rule.route.length === 0 || (rule.match.length > 0 && matches.length === 0)) continue;
      const path = ['spec', 'tcp', index];
      for (const { match, at } of matches) streamMatch(half, match, [...path, 'match', at]);
      return [draft(half, 'TCPRoute', port, { rules: [{ backendRefs: streamBackends(half, rule.route, path, port, 'tcp') }] })];
    }
    return [];
  });
}

function streamMatch({ attachment, problems }: Half, match: TlsMatchAttributes | L4MatchAttributes, path: readonly PathStep[]): void {
  const same = [...match.destinationSubnets].map(host32).sort().join() === [...attachment.subnets].map(host32).sort().join();
  // At a Gateway the networks would be the gateway's own addresses, which no route can match on.
  if (match.destinationSubnets.length > 0 && (attachment.gateway === 'mesh' ? !same : true))
    problems.add([...path, 'destinationSubnets'], 'a route has no networks: it holds for its parent’s addresses');
  const ignored = match.gateways.length > 0 && attachment.gateway !== 'mesh';
  if (!ignored && Object.keys(match.sourceLabels).length > 0)
    problems.add([...path, 'sourceLabels'], 'a route holds for all workloads that see it');
  if (!ignored && match.sourceNamespace) problems.add([...path, 'sourceNamespace'], 'a route holds for all workloads that see it');
}

/** A single address is a network of its own. */
function host32(network: string): string {
  return network.replace(/\/32$/, '');
}

function streamBackends(
  { input, virtualService, attachment, problems }: Half,
  route: VirtualService['spec']['tls'][number]['route'],
  path: readonly PathStep[],
  port: number | undefined,
  kind: 'tls' | 'tcp',
): object[] {
  const ports = port === undefined ? attachment.ports[kind] : [port];
  const backendOf = backends(input, {
    namespace: virtualService.metadata.namespace,
    routeNamespace: attachment.namespace,
    clientNamespace: attachment.clientNamespace,
    ports,
  });
  const single = route.length === 1;
  return route
    .map(({ destination, weight }, index) => ({
      weight,
      backend: backendOf(destination, [...path, 'route', index, 'destination'], problems),
    }))
    .filter(({ weight }) => single || weight > 0)
    .map(({ weight, backend }) => ({ ...backend, ...(!single && { weight }) }));
}

/** Parts of at most `size`; of nothing, one empty part. */
function chunks<T>(list: readonly T[], size: number): (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  for (let start = 0; start < list.length; start += size) parts.push(list.slice(start, start + size));
  return parts.length > 0 ? parts : [[]];
}
