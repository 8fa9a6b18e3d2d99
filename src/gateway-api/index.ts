/** The Kubernetes Gateway API as objects of Istio's API, the way Istio's own controller makes them. Pure. */
import type { Kind, ResourceOf } from '../api/index.ts';
import { keepDerived } from '../api/keep-derived.ts';
import type { Finding } from '../lib/finding.ts';
import { keepContent } from '../lib/same.ts';
import { deriveBackendTls } from './backend-tls.ts';
import { deriveGateways } from './gateways.ts';
import { createContext, type Objects } from './model.ts';
import { type Reads, recordingReads, wouldReadTheSame } from './reads.ts';
import { deriveHttp, deriveStreams } from './routes.ts';

export interface GatewayApi {
  /** Gateways, VirtualServices, DestinationRules and Services, each with what it was derived from. */
  readonly resources: readonly ResourceOf<Kind>[];
  /** References that lead nowhere and what can't be served. */
  readonly findings: readonly Finding[];
  /** What all this follows from. */
  readonly reads: Reads;
}

const EFFECTIVE: readonly Kind[] = [
  'KubernetesGateway',
  'ListenerSet',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'BackendTLSPolicy',
];

/** @param before what was derived earlier: all of it stays where nothing that it follows from has changed, else each object that comes out the same. */
export function deriveFromGatewayApi(all: Objects, before?: GatewayApi): GatewayApi {
  if (before && wouldReadTheSame(before.reads, all)) return before;
  const { objects, reads } = recordingReads(all);
  if (EFFECTIVE.every((kind) => objects.list(kind).length === 0)) return { resources: [], findings: [], reads };
  const { context, findings } = createContext(objects);
  const { resources, listeners } = deriveGateways(context);
  // A route may name the Service that comes with a Gateway.
  const created = resources.filter((resource) => resource.kind === 'Service');
  const withCreated: Objects = {
    complete: objects.complete,
    list: (kind) => objects.list(kind),
    get: <K extends Kind>(kind: K, namespace: string, name: string) =>
      objects.get(kind, namespace, name) ??
      (kind === 'Service'
        ? (created.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name) as ResourceOf<K> | undefined)
        : undefined),
  };
  const routing = { ...context, objects: withCreated };
  const routes = [...deriveHttp(routing, listeners), ...deriveStreams(routing, listeners)];
  const derived = [...resources, ...routes, ...deriveBackendTls(routing)] as ResourceOf<Kind>[];
  return {
    resources: keepDerived(before?.resources, derived),
    findings: keepContent(before?.findings, findings),
    reads,
  };
}
