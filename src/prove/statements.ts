/** Statements that `verify` proves: the default one, and those that a user writes. */
import { SallyportError } from '../lib/errors.ts';
import { hostCovers, hostsOverlap } from '../lib/hostname.ts';
import { knowsServer, type OriginatedTls } from '../simulate/security.ts';
import type { Arrival, Statement } from '../simulate/verify.ts';

/** What has to hold by default. `isGateway` is asked about routers by their `namespace/name`, and about clusters by their names. */
export function onlyThroughGateways(isGateway: (proxy: string) => boolean): Statement {
  return {
    text: 'no workload reaches a host outside the mesh but through an egress gateway',
    allows: ({ through }) => isGateway(through),
    allowsAll: ({ hops }) => {
      const last = hops.at(-1);
      return last !== undefined && (isGateway(last.proxy) || isGateway(last.cluster));
    },
  };
}

function onlyThroughProxy(proxy: string): Statement {
  return {
    text: `nothing reaches a host outside the mesh but through the forward proxy ${proxy}`,
    allows: ({ trace }) => trace.hops.at(-1)?.next?.through === proxy,
  };
}

/** One entry of a file of statements. */
export interface StatementFile {
  readonly onlyWorkloads?: { readonly host: string; readonly workloads: readonly string[] };
  /** `verified`: TLS that a proxy originates checks the server's certificate, and in it for names that `host` covers. */
  readonly onlyTls?: { readonly host: string; readonly verified?: boolean };
  readonly nothingLeaves?: { readonly namespace: string };
  readonly onlyThroughGateways?: boolean;
  /** `HOST:PORT` of a forward proxy; calls to the proxy itself break it, as whoever makes them may ask it for any host. */
  readonly onlyThroughProxy?: string;
  /** What leaves to the hosts that EgressPolicies name is what they allow, and all of that gets there. */
  readonly egressPolicies?: boolean;
  /** A path or `git:REV[:PATH]`: the configuration that this one is to be equivalent to. */
  readonly equivalentTo?: string;
}

/** How each of them is written. */
export const FORMS =
  'onlyThroughGateways: true, onlyThroughProxy: HOST:PORT, egressPolicies: true, onlyWorkloads: {host, workloads}, onlyTls: {host, verified}, nothingLeaves: {namespace} or equivalentTo: PATH';

/** A name or a wildcard. An address is refused: which addresses a name leads to is not known beforehand, so a statement about one would prove little. */
function isHost(host: unknown): host is string {
  return typeof host === 'string' && /^(?:\*|(?:\*\.)?[\w-]+(?:\.[\w-]+)*)$/.test(host) && !/^[\d.]+$/.test(host);
}

/** The statement that an entry of a file makes; `where` names the entry in messages. Throws `statements-invalid`. */
export function statementOf(entry: StatementFile, where: string, isGateway: (proxy: string) => boolean): Statement {
  if (entry?.onlyThroughGateways === true) return onlyThroughGateways(isGateway);
  if (typeof entry?.onlyThroughProxy === 'string') return onlyThroughProxy(entry.onlyThroughProxy.toLowerCase());
  const about = entry?.onlyWorkloads ?? entry?.onlyTls;
  if (about && !isHost(about.host)) {
    throw new SallyportError(
      'statements-invalid',
      `${where}: host "${about.host}" is no name of a host: write api.example.com or *.example.com, without scheme, port or address`,
    );
  }
  if (entry?.onlyWorkloads?.host && Array.isArray(entry.onlyWorkloads.workloads)) {
    const { host, workloads } = entry.onlyWorkloads;
    return {
      text: `only ${workloads.join(', ')} reach ${host}`,
      hosts: [host.toLowerCase()],
      workloads,
      concerns: (arrival) => concerns(host, arrival),
      allows: (arrival, callers) => !concerns(host, arrival) || callers.every((caller) => workloads.includes(caller)),
    };
  }
  if (entry?.onlyTls?.host) {
    const { host, verified = false } = entry.onlyTls;
    return {
      text: `${host} is reached by TLS only${verified ? ", with the server's certificate and name verified" : ''}`,
      hosts: [host.toLowerCase()],
      concerns: (arrival) => concerns(host, arrival),
      allows: (arrival) => {
        const { outcome } = arrival.trace;
        if (!concerns(host, arrival) || outcome.kind !== 'upstream') return true;
        // TLS that the application speaks itself: what it verifies is up to it.
        return outcome.payload.tls !== undefined && (!verified || outcome.originates === undefined || isVerified(outcome.originates, host));
      },
    };
  }
  if (entry?.nothingLeaves?.namespace) {
    const { namespace } = entry.nothingLeaves;
    return {
      text: `nothing from namespace ${namespace} leaves the mesh`,
      namespace,
      allows: (_arrival, callers) => !callers.some((caller) => caller.startsWith(`${namespace}/`)),
    };
  }
  throw new SallyportError('statements-invalid', `${where}: is none of ${FORMS}`);
}

/** Whether the server proves to be of the mesh, or to have a name that `host` covers: a certificate of any other name may be anybody's. */
function isVerified({ verifies, names }: OriginatedTls, host: string): boolean {
  const isCovered = (name: string) => hostCovers(host.toLowerCase(), name.toLowerCase());
  return knowsServer(verifies) && (verifies === 'mesh' || names.some((list) => list.every(isCovered)));
}

/** The clusters of AUTO_PASSTHROUGH gateways. */
const BY_SNI = /^outbound_\.\d+_\..*?_\.(.+)$/;

/**
 * Whether a host of this name may be what was reached: by the name that was resolved or that the call names, by the service whose cluster took the
 * call, and where bytes without a name went to an address that the client chose, which may be any host's.
 */
function concerns(host: string, { host: reached, trace }: Arrival): boolean {
  const wanted = host.toLowerCase();
  const name = reached.toLowerCase();
  const cluster = trace.hops.at(-1)?.cluster ?? '';
  const service = (cluster.split('|')[3] ?? BY_SNI.exec(cluster)?.[1] ?? '').toLowerCase();
  if (name === '')
    return service === '' || hostsOverlap(wanted, service) || (trace.outcome.kind === 'upstream' && trace.outcome.anyAddress);
  return hostCovers(wanted, name) || (service !== '' && hostCovers(wanted, service));
}
