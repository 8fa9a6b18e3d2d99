import type { HttpMatchRequest, TlsMatchAttributes } from '../../api/index.ts';
import { HostIndex } from '../../lib/host-index.ts';
import { fullHostname } from '../../lib/hostname.ts';
import { isHttp, parseProtocol } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';
import { type Gateway, onMesh, type VirtualService } from '../egress-model.ts';
import { httpMatchCovers, tlsMatchCovers } from '../match-covers.ts';
import { findGateway, gatewayNames, serverHostTakes } from './virtual-service-gateways.ts';

interface Bound {
  readonly virtualService: VirtualService;
  /** How it names the Gateway. */
  readonly name: string;
}

/** SP1012, SP1027: hosts of Gateways and VirtualServices that nothing reaches, and rules that an older VirtualService takes over. */
export function gatewayHosts(context: Context): void {
  const byGateway = new Map<Gateway, Bound[]>();
  for (const virtualService of context.of('VirtualService')) {
    const gateways: Gateway[] = [];
    for (const { name, bound } of gatewayNames(virtualService)) {
      const gateway = name === 'mesh' || !bound ? undefined : findGateway(context, name, virtualService.metadata.namespace);
      if (!gateway) continue;
      gateways.push(gateway);
      const list = byGateway.get(gateway);
      if (list) list.push({ virtualService, name });
      else byGateway.set(gateway, [{ virtualService, name }]);
    }
    unservedHosts(context, virtualService, gateways);
  }
  for (const [gateway, bound] of byGateway) {
    unroutedHosts(context, gateway, bound);
    shadowedRules(context, gateway, bound);
  }
}

/** Hosts of a VirtualService for gateways alone that none of them serves, while they serve others of its hosts. */
function unservedHosts(context: Context, virtualService: VirtualService, gateways: readonly Gateway[]): void {
  const { hosts } = virtualService.spec;
  if (hosts.length < 2 || gateways.length === 0 || onMesh(virtualService)) return;
  const { namespace } = virtualService.metadata;
  const served = hosts.map((host) => gateways.some((gateway) => serves(gateway, host, namespace)));
  if (!served.includes(true)) return;
  for (const [i, host] of hosts.entries()) {
    if (served[i]) continue;
    const names = gateways.map(nameOf).join(', ');
    context.report(
      'SP1012',
      virtualService,
      ['spec', 'hosts', i],
      `${host} is served by none of this VirtualService's gateways (${names}), so no call for it reaches these rules. Add it to a server of the Gateway, or remove it here.`,
    );
  }
}

function serves(gateway: Gateway, host: string, namespace: string): boolean {
  return gateway.spec.servers.some((server) =>
    server.hosts.some((serverHost) => serverHostTakes(serverHost, gateway.metadata.namespace, host, namespace)),
  );
}

/** Hosts that a Gateway serves and none of the VirtualServices bound to it routes. */
function unroutedHosts(context: Context, gateway: Gateway, bound: readonly Bound[]): void {
  // Where nothing that is bound fits, that is a finding already (IST0132).
  const routed = new HostIndex<string>();
  for (const { virtualService } of bound) {
    const { namespace } = virtualService.metadata;
    for (const host of virtualService.spec.hosts) routed.add(host.toLowerCase(), namespace);
  }
  const isRouted = (serverHost: string) => {
    const name = serverHost.slice(serverHost.indexOf('/') + 1).toLowerCase();
    // Whether the server accepts VirtualServices of that namespace.
    const takes = (namespace: string) => serverHostTakes(serverHost, gateway.metadata.namespace, name, namespace);
    return routed.coveredBy(name).some(takes) || routed.covering(name).some(takes);
  };
  if (!gateway.spec.servers.some((server) => server.hosts.some(isRouted))) return;
  for (const [i, server] of gateway.spec.servers.entries()) {
    if (server.tls?.mode === 'AUTO_PASSTHROUGH') continue;
    for (const [j, serverHost] of server.hosts.entries()) {
      // Hosts that name a namespace are redirected only where a VirtualService has them.
      if (server.tls?.httpsRedirect && /^(\*\/|[^/]*$)/.test(serverHost)) continue;
      // A listener of a Kubernetes Gateway stands here once for each namespace whose routes it takes.
      const same = (other: string) => other.slice(other.indexOf('/') + 1) === serverHost.slice(serverHost.indexOf('/') + 1);
      if (isRouted(serverHost) || (gateway.derivedFrom && server.hosts.some((other) => same(other) && isRouted(other)))) continue;
      context.report(
        'SP1012',
        gateway,
        ['spec', 'servers', i, 'hosts', j],
        gateway.derivedFrom
          ? `No route that is attached to this listener is for ${serverHost}: calls for it are answered 404 or closed. Add it to the hostnames of a route, or narrow the listener's hostname.`
          : `No VirtualService that is bound to this Gateway routes ${serverHost}: calls for it are answered 404 or closed. Add it to a VirtualService's hosts, or remove it here.`,
      );
    }
  }
}

const ANYTHING: HttpMatchRequest = {
  headers: {},
  sourceLabels: {},
  gateways: [],
  queryParams: {},
  ignoreUriCase: false,
  withoutHeaders: {},
};

/** Matches of the rules of a kind that hold at the Gateway, with the gateways taken out: they are equal there. */
function matchesAt<M extends { readonly gateways: readonly string[] }>(
  { virtualService, name }: Bound,
  rules: readonly { readonly match: readonly M[] }[],
  anything: readonly M[],
): { readonly rule: number; readonly matches: readonly M[] }[] {
  const { gateways } = virtualService.spec;
  return rules.flatMap(({ match }, rule) => {
    if (match.length === 0) return gateways.includes(name) && anything.length > 0 ? [{ rule, matches: anything }] : [];
    const here = match.filter((each) => (each.gateways.length > 0 ? each.gateways : gateways).includes(name));
    return here.length > 0 ? [{ rule, matches: here.map((each) => ({ ...each, gateways: [] })) }] : [];
  });
}

/**
 * A gateway joins the rules of all VirtualServices for a host, the oldest's first. Of http it puts those that take everything last: only those can be
 * taken over by another that takes everything.
 */
function shadowedRules(context: Context, gateway: Gateway, bound: readonly Bound[]): void {
  const byHost = new Map<string, Bound[]>();
  for (const each of bound) {
    for (const written of each.virtualService.spec.hosts) {
      const host = fullHostname(written, each.virtualService.metadata.namespace).toLowerCase();
      const list = byHost.get(host);
      if (list) list.push(each);
      else byHost.set(host, [each]);
    }
  }
  shadowedTcp(context, gateway, bound);
  for (const [host, list] of byHost) {
    if (list.length < 2) continue;
    const sorted = [...list].sort((a, b) => a.virtualService.order - b.virtualService.order);
    const at = { context, gateway, host };
    shadowedOf(at, 'http', sorted, (each) => matchesAt(each, each.virtualService.spec.http, [ANYTHING]), takesOver);
    const covers = (older: TlsMatchAttributes, match: TlsMatchAttributes) => tlsMatchCovers(older, match, []);
    shadowedOf(at, 'tls', sorted, (each) => matchesAt(each, each.virtualService.spec.tls, []), covers);
  }
}

/** Bytes name no host: on a port of a server of bytes the first rule takes every connection, whosever host it is for and whatever address it names. */
function shadowedTcp(context: Context, gateway: Gateway, bound: readonly Bound[]): void {
  const sorted = [...bound].sort((a, b) => a.virtualService.order - b.virtualService.order);
  for (const { port, tls } of gateway.spec.servers) {
    if (tls || isHttp(parseProtocol(port.protocol))) continue;
    let first: { readonly from: VirtualService; readonly rule: number } | undefined;
    for (const { virtualService, name } of sorted) {
      const { gateways } = virtualService.spec;
      for (const [rule, { match }] of virtualService.spec.tcp.entries()) {
        const here = match.filter(
          (each) => (each.gateways.length > 0 ? each.gateways : gateways).includes(name) && (!each.port || each.port === port.number),
        );
        if (match.length === 0 ? !gateways.includes(name) : here.length === 0) continue;
        if (first && first.from !== virtualService) {
          context.report(
            'SP1027',
            virtualService,
            ['spec', 'tcp', rule],
            `At Gateway ${nameOf(gateway)} rule #${first.rule + 1} of VirtualService ${first.from.metadata.namespace}/${first.from.metadata.name}, which is older, takes every connection to port ${port.number}: bytes name no host, and those for ${virtualService.spec.hosts.join(', ')} go where the older one leads. Give each host a port of the gateway of its own.`,
          );
        }
        first ??= { from: virtualService, rule };
      }
    }
  }
}

interface Meeting {
  readonly context: Context;
  readonly gateway: Gateway;
  readonly host: string;
}

/** Rules of a kind whose every match an older VirtualService takes. */
function shadowedOf<M>(
  { context, gateway, host }: Meeting,
  kind: 'http' | 'tls',
  sorted: readonly Bound[],
  matchesOf: (bound: Bound) => { readonly rule: number; readonly matches: readonly M[] }[],
  takes: (older: M, match: M) => boolean,
): void {
  const earlier: { readonly from: VirtualService; readonly rule: number; readonly match: M }[] = [];
  for (const each of sorted) {
    const own = matchesOf(each);
    for (const { rule, matches } of own) {
      const by = matches.map((match) => earlier.find((older) => takes(older.match, match)));
      const first = by[0];
      if (!first || by.includes(undefined)) continue;
      context.report(
        'SP1027',
        each.virtualService,
        ['spec', kind, rule],
        `At Gateway ${nameOf(gateway)} rule #${first.rule + 1} of VirtualService ${first.from.metadata.namespace}/${first.from.metadata.name}, which is older, takes all calls for ${host} that this rule (#${rule + 1}) is for. Join the two VirtualServices, the narrower rule first, or make the matches differ.`,
      );
    }
    for (const { rule, matches } of own) for (const match of matches) earlier.push({ from: each.virtualService, rule, match });
  }
}

function takesOver(older: HttpMatchRequest, match: HttpMatchRequest): boolean {
  return httpMatchCovers(older, match, []) && (!takesEverything(older) || takesEverything(match));
}

/** As the gateway judges it: every path, and nothing else asked for. */
function takesEverything({ uri, scheme, method, authority, headers, queryParams, withoutHeaders }: HttpMatchRequest): boolean {
  const path = !uri || uri.prefix === '/' || uri.regex === '.*' || uri.prefix === '';
  const maps = [headers, queryParams, withoutHeaders].every((map) => Object.keys(map).length === 0);
  return path && maps && !scheme && !method && !authority;
}

function nameOf({ metadata }: Gateway): string {
  return `${metadata.namespace}/${metadata.name}`;
}
