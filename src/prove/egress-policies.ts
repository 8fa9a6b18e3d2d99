/** Whether EgressPolicies are what leaves: nothing else to the hosts that they name, and all that they allow, the way that they say. */
import type { ResourceOf } from '../api/index.ts';
import { forwardProxy } from '../api/through.ts';
import { hostCovers, plainHost } from '../lib/hostname.ts';
import { isIp } from '../lib/ip.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { hostPort } from '../lib/socket-address.ts';
import { type AskedCall, isOf, permitting } from '../policy/meaning.ts';
import { type Call, parseTarget } from '../simulate/call.ts';
import type { Trace } from '../simulate/trace.ts';
import type { Arrival, Counterexample, Statement, Verdict } from '../simulate/verify.ts';
import { callersOf } from './callers.ts';
import { gatewaysOf } from './inside.ts';
import type { SimulatedFiles } from './simulated.ts';
import { wayOf } from './way.ts';

type Policy = ResourceOf<'EgressPolicy'>;

/** Those that are in force, whether or not they have begun or ended. */
export function policiesOf({ mesh: { snapshot } }: SimulatedFiles): Policy[] {
  const refused = snapshot.findings.filter(({ code }) => code === 'SP0018').map(({ origin }) => `${origin.namespace}/${origin.name}`);
  return snapshot.list('EgressPolicy').filter(({ metadata }) => !refused.includes(`${metadata.namespace}/${metadata.name}`));
}

/** That to the hosts which policies name nothing leaves but what they allow. */
export function nothingElse(files: SimulatedFiles): Statement {
  const policies = policiesOf(files);
  const named = hostsOf(policies);
  const callers = new Map(callersOf(files).map((caller) => [nameOf(caller), caller]));
  const isGateway = gatewaysOf(files);
  const now = momentOf(files);
  const isNamed = (call: AskedCall) => named.some((host) => hostCovers(host, call.host));
  return {
    text: 'to the hosts that EgressPolicies name nothing leaves but what they allow',
    hosts: named.map((host) => (host.startsWith('*') ? sampleOf(host) : host)),
    concerns: (arrival) => callsOf(arrival).some(isNamed),
    allows: (arrival, workloads) =>
      callsOf(arrival)
        .filter(isNamed)
        .every((call) =>
          workloads.every((name) => {
            const caller = callers.get(name);
            const by = caller ? permitting(policies, now, caller, call) : [];
            return by.some((policy) => isLed(policy, arrival.trace, isGateway));
          }),
        ),
  };
}

/** That all that policies allow gets there; of what they allow by patterns, an example each. */
export function allOfThem(files: SimulatedFiles): Verdict {
  const policies = policiesOf(files);
  const callers = callersOf(files);
  const isGateway = gatewaysOf(files);
  const now = momentOf(files);
  const counterexamples: Counterexample[] = [];
  const undecided: string[] = [];
  let cells = 0;
  for (const { asked, url } of examplesOf(policies)) {
    for (const caller of callers) {
      const by = permitting(policies, now, caller, asked);
      if (by.length === 0) continue;
      cells++;
      const target = parseTarget(url, { ...(asked.method && { method: asked.method }) });
      const way = wayOf(files, target, { from: nameOf(caller) });
      const { outcome } = way.trace;
      if (outcome.kind === 'undecided') undecided.push(`${nameOf(caller)} calling ${url}: ${outcome.details}`);
      if (outcome.kind === 'undecided' || (outcome.kind === 'upstream' && by.every((policy) => isLed(policy, way.trace, isGateway))))
        continue;
      const call: Call = {
        source: { ip: caller.addresses[0] ?? '', port: 0 },
        destination: endpointOf(way.destination),
        payload: target.payload,
      };
      counterexamples.push({ workloads: [nameOf(caller)], call, trace: way.trace });
    }
  }
  const idle = policies
    .filter((policy) => !callers.some((caller) => isOf(policy, caller)))
    .map(({ metadata }) => `no known workload is one of EgressPolicy ${metadata.namespace}/${metadata.name}`);
  return {
    statement: 'what EgressPolicies allow gets there, the way that they say',
    result: counterexamples.length > 0 ? 'refuted' : undecided.length > 0 ? 'undecided' : 'proved',
    counterexamples,
    undecided,
    notes: idle,
    cells,
  };
}

/** Whether a call that reached its server went the way that the policy says. */
function isLed({ spec }: Policy, { hops }: Trace, isGateway: (proxy: string) => boolean): boolean {
  const last = hops.at(-1);
  const asked = last?.next?.through;
  if (spec.through === 'gateway' && !isGateway(last?.proxy ?? '')) return false;
  if (spec.through === 'direct') return asked === undefined;
  const proxy = spec.proxy === undefined ? undefined : forwardProxy(spec.proxy);
  return proxy === undefined || asked === hostPort(proxy.host, proxy.port);
}

function momentOf({ mesh }: SimulatedFiles): number {
  return mesh.snapshot.asOf ?? 0;
}

function nameOf({ namespace, name }: ProxyIdentity): string {
  return `${namespace}/${name}`;
}

function hostsOf(policies: readonly Policy[]): string[] {
  return [...new Set(policies.flatMap(({ spec }) => spec.to.flatMap(({ hosts }) => hosts.map(plainHost))))];
}

function sampleOf(host: string): string {
  return host.replace('*', 'any');
}

/** What the call was, where it leaves: by the name of the host, and by the address, as policies may name either. */
function callsOf({ host, endpoint, trace }: Arrival): AskedCall[] {
  const [, port = '', , service = ''] = trace.hops.at(-1)?.cluster.split('|') ?? [];
  const sent = trace.outcome.kind === 'upstream' ? trace.outcome : undefined;
  const { tls, http } = sent?.payload ?? { tls: undefined, http: undefined };
  const name = host || (service.startsWith('*') ? '' : service) || endpoint?.ip || '';
  const speaks = sent?.originates ? 'HTTP' : tls ? 'TLS' : http ? 'HTTP' : 'bytes';
  const asked = {
    port: Number(port),
    speaks,
    ...(http && { method: http.method, path: http.path.replace(/\?.*$/, '') }),
  } as const;
  // An address that is stated goes nowhere: where the call does go says more.
  const names = endpoint && isIp(name) ? [endpoint.ip] : endpoint ? [name, endpoint.ip] : [name];
  return names.map((one) => ({ host: one.toLowerCase(), ...asked }));
}

/** A call for each host, port, method and path that a policy writes. */
function* examplesOf(policies: readonly Policy[]): Generator<{ readonly asked: AskedCall; readonly url: string }> {
  const seen = new Set<string>();
  const ports = new Set([80, 443, ...policies.flatMap(({ spec }) => spec.to.flatMap((one) => one.ports))]);
  const methods = new Set(['GET', ...policies.flatMap(({ spec }) => spec.to.flatMap((one) => one.methods))]);
  const paths = new Set(
    ['/', ...policies.flatMap(({ spec }) => spec.to.flatMap((one) => one.paths))].map((path) => path.replace(/\*$/, '')),
  );
  for (const host of hostsOf(policies).map(sampleOf)) {
    for (const port of ports) {
      const at = hostPort(host, port);
      for (const [speaks, scheme] of [
        ['TLS', 'tls'],
        ['bytes', 'tcp'],
      ] as const)
        yield { asked: { host, port, speaks }, url: `${scheme}://${at}` };
      for (const method of methods) {
        for (const path of paths) {
          const url = `http://${at}${path}`;
          if (seen.has(`${method} ${url}`)) continue;
          seen.add(`${method} ${url}`);
          yield { asked: { host, port, speaks: 'HTTP', method, path }, url };
        }
      }
    }
  }
}

function endpointOf(text: string): Call['destination'] {
  const colon = text.lastIndexOf(':');
  return { ip: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}
