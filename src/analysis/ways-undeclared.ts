/** HTTP on port 80 to hosts that only a VirtualService names: sidecars route them too, wherever its rules lead. */
import { fullHostname, hostCovers, hostsOverlap, isWildcard } from '../lib/hostname.ts';
import type { Caller } from '../registry/destination-rules.ts';
import type { Service } from '../registry/model.ts';
import { isHttp } from '../registry/protocol.ts';
import { type SidecarImport, sidecarImport } from '../registry/sidecar-import.ts';
import { isVisible } from '../registry/visibility.ts';
import { possibleCallers } from './callers.ts';
import type { Context } from './context.ts';
import { gatewayServices, onMesh, type VirtualService, withDelegates } from './egress-model.ts';
import { concernsHttp, hostsOf, inOrder, leavesBy, sidecarOf } from './ways.ts';

const PORT = 80;

export interface UndeclaredLeak {
  readonly virtualService: VirtualService;
  /** As the VirtualService has it. */
  readonly host: string;
  /** The rule and the destination in it. */
  readonly rule: number;
  readonly route: number;
  readonly to: string;
}

export function* undeclaredLeaks(context: Context): Generator<void, UndeclaredLeak[]> {
  const all = context.of('VirtualService').filter((each) => each.valid && onMesh(each) && leadsOut(context, each));
  if (all.length === 0) return [];
  const found = new Map<string, UndeclaredLeak>();
  for (const caller of possibleCallers(context)) {
    const services = context.registry.visibleTo(caller.namespace);
    for (const listener of listenersOf(context, caller)) {
      const served = services.filter((service) => service.ports.some(({ number }) => number === PORT) && listener.takesService(service));
      if (!served.some(({ ports }) => ports.some(({ number, protocol }) => number === PORT && isHttp(protocol)))) continue;
      const followed = inOrder(
        context,
        caller.namespace,
        context.of('VirtualService').filter((each) => each.valid && onMesh(each)),
      )
        .filter(listener.takesRoutes)
        .map((each) => withDelegates(context, each))
        .filter(({ spec }) => spec.http.some((rule) => concernsHttp(caller, rule, PORT)));
      const firstWith = new Map<string, VirtualService>();
      for (const each of followed) for (const host of hostsOf(each)) if (!firstWith.has(host)) firstWith.set(host, each);
      const names = new Set(served.map(({ hostname }) => hostname));
      const isRouted = (host: string, by: VirtualService) => firstWith.get(host) === by && !isDeclared(host, names);
      for (const virtualService of followed) {
        yield;
        for (const leak of leaksOf(context, caller, virtualService, (host) => isRouted(host, virtualService)))
          found.set(JSON.stringify([leak.host, leak.to, virtualService.metadata.namespace, virtualService.metadata.name]), leak);
      }
    }
  }
  return [...found.values()];
}

function isDeclared(host: string, names: ReadonlySet<string>): boolean {
  if (!isWildcard(host)) return names.has(host);
  for (const name of names) if (hostCovers(host, name)) return true;
  return false;
}

/** @param isRouted whether the VirtualService decides about a host of its own that nothing declares */
function leaksOf(context: Context, caller: Caller, virtualService: VirtualService, isRouted: (host: string) => boolean): UndeclaredLeak[] {
  const leaks: UndeclaredLeak[] = [];
  for (const host of hostsOf(virtualService)) {
    if (!isRouted(host)) continue;
    for (const [i, rule] of virtualService.spec.http.entries()) {
      if (!concernsHttp(caller, rule, PORT)) continue;
      for (const [j, { destination }] of rule.route.entries()) {
        if (!leavesBy(context, caller, { virtualService, destination }, PORT)) continue;
        leaks.push({
          virtualService,
          host,
          rule: i,
          route: j,
          to: fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase(),
        });
      }
      if (rule.match.length === 0) break;
    }
  }
  return leaks;
}

/** Whether a rule leads to a host outside: mostly none does. */
function leadsOut(context: Context, alone: VirtualService): boolean {
  const virtualService = withDelegates(context, alone);
  const services = gatewayServices(context);
  return virtualService.spec.http.some(({ route }) =>
    route.some(({ destination }) => {
      const host = fullHostname(destination.host, virtualService.metadata.namespace).toLowerCase();
      return !services.has(host) && context.services.at(host).some(({ meshExternal }) => meshExternal);
    }),
  );
}

interface Listener {
  takesService(service: Service): boolean;
  takesRoutes(virtualService: VirtualService): boolean;
}

/** What of a Sidecar serves port 80. */
function listenersOf(context: Context, caller: Caller): Listener[] {
  const egress = sidecarOf(context, caller)?.spec.egress ?? [];
  if (egress.length === 0)
    return [{ takesService: ({ exportTo, namespace }) => isVisible(exportTo, namespace, caller.namespace), takesRoutes: () => true }];
  const own = egress.filter(({ port }) => port?.number === PORT);
  return (own.length > 0 ? own : egress.filter(({ port }) => !port?.number)).map(({ hosts }) => {
    const imports = hosts.map((text) => sidecarImport(text, caller.namespace));
    const overlaps = (one: SidecarImport, host: string) =>
      isWildcard(one.host) || isWildcard(host) ? hostsOverlap(one.host, host) : one.host === host;
    return {
      takesService: ({ namespace, hostname }) =>
        imports.some((one) => one.takes(namespace) && hostCovers(one.host, hostname)) &&
        !imports.some((one) => one.excludes(namespace) && hostCovers(one.host, hostname)),
      takesRoutes: (each) => hostsOf(each).some((host) => imports.some((one) => one.takes(each.metadata.namespace) && overlaps(one, host))),
    };
  });
}
