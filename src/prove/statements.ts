/** Statements that `verify` proves: the default one, and those of a file. */
import { readFileSync } from 'node:fs';
import { codeOf, messageOf, SallyportError } from '../lib/errors.ts';
import { hostCovers, hostsOverlap } from '../lib/hostname.ts';
import type { Arrival, Statement } from '../simulate/verify.ts';

/** What holds by default; `isGateway` tells routers by `namespace/name`, and clusters that lead to nothing else by theirs. */
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

export interface StatementFile {
  readonly onlyWorkloads?: { readonly host: string; readonly workloads: readonly string[] };
  /** `verified`: TLS that a proxy originates checks the server's certificate and name. */
  readonly onlyTls?: { readonly host: string; readonly verified?: boolean };
  readonly nothingLeaves?: { readonly namespace: string };
  readonly onlyThroughGateways?: boolean;
  /** A path or `git:REV[:PATH]`: the configuration that this one is to be equivalent to. */
  readonly equivalentTo?: string;
}

const FORMS =
  'onlyThroughGateways: true, onlyWorkloads: {host, workloads}, onlyTls: {host, verified}, nothingLeaves: {namespace} or equivalentTo: PATH';

export interface Statements {
  readonly statements: readonly Statement[];
  /** Configurations that this one is to be equivalent to. */
  readonly equivalentTo: readonly string[];
}

/** Reads a YAML list of statements. Throws `statements-invalid` or `path-not-found`. */
export async function readStatements(file: string, isGateway: (proxy: string) => boolean): Promise<Statements> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new SallyportError(
      codeOf(error) === 'ENOENT' ? 'path-not-found' : 'statements-unreadable',
      `cannot read ${file}: ${messageOf(error)}`,
      { cause: error },
    );
  }
  let list: unknown;
  try {
    list = (await import('yaml')).parse(text);
  } catch (error) {
    throw new SallyportError('statements-invalid', `${file}: ${messageOf(error)}`, { cause: error });
  }
  if (!Array.isArray(list)) throw new SallyportError('statements-invalid', `${file}: write a list of statements, each ${FORMS}`);
  const equivalentTo = list.flatMap((entry: StatementFile) => (typeof entry?.equivalentTo === 'string' ? [entry.equivalentTo] : []));
  const statements = list.flatMap((entry: StatementFile, i) =>
    typeof entry?.equivalentTo === 'string' ? [] : [statementOf(entry, `${file}: statement ${i + 1}`, isGateway)],
  );
  return { statements, equivalentTo };
}

/** A name or wildcard; an address is none, since names lead to addresses that nobody knows beforehand. */
function isHost(host: unknown): host is string {
  return typeof host === 'string' && /^(?:\*|(?:\*\.)?[\w-]+(?:\.[\w-]+)*)$/.test(host) && !/^[\d.]+$/.test(host);
}

/** Throws `statements-invalid`. */
export function statementOf(entry: StatementFile, where: string, isGateway: (proxy: string) => boolean): Statement {
  if (entry?.onlyThroughGateways === true) return onlyThroughGateways(isGateway);
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
      allows: (arrival, callers) => !concerns(host, arrival) || callers.every((caller) => workloads.includes(caller)),
    };
  }
  if (entry?.onlyTls?.host) {
    const { host, verified = false } = entry.onlyTls;
    return {
      text: `${host} is reached by TLS only${verified ? ", with the server's certificate and name verified" : ''}`,
      hosts: [host.toLowerCase()],
      allows: (arrival) => {
        const { outcome } = arrival.trace;
        if (!concerns(host, arrival) || outcome.kind !== 'upstream') return true;
        // What an application's own TLS checks is its own business.
        return outcome.payload.tls !== undefined && (!verified || outcome.verifies === undefined || outcome.verifies === 'name');
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
