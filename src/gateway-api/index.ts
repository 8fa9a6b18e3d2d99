/** The Kubernetes Gateway API as objects of Istio's API, the way Istio's own controller makes them. Pure. */
import type { Kind, ResourceOf } from '../api/index.ts';
import type { Finding } from '../lib/finding.ts';
import { deriveBackendTls } from './backend-tls.ts';
import { deriveGateways } from './gateways.ts';
import { createContext, type Objects } from './model.ts';
import { deriveHttp, deriveStreams } from './routes.ts';

interface GatewayApi {
  /** Gateways, VirtualServices, DestinationRules and Services, each with what it was derived from. */
  readonly resources: readonly ResourceOf<Kind>[];
  /** References that lead nowhere and what can't be served. */
  readonly findings: readonly Finding[];
}

const NOTHING: GatewayApi = { resources: [], findings: [] };

const EFFECTIVE: readonly Kind[] = ['KubernetesGateway', 'HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute', 'BackendTLSPolicy'];

export function deriveFromGatewayApi(objects: Objects): GatewayApi {
  if (EFFECTIVE.every((kind) => objects.list(kind).length === 0)) return NOTHING;
  const { context, findings } = createContext(objects);
  const { resources, listeners } = deriveGateways(context);
  // A route may name the Service that comes with a Gateway.
  const created = resources.filter((resource) => resource.kind === 'Service');
  const withCreated: Objects = {
    list: (kind) => objects.list(kind),
    get: <K extends Kind>(kind: K, namespace: string, name: string) =>
      objects.get(kind, namespace, name) ??
      (kind === 'Service'
        ? (created.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name) as ResourceOf<K> | undefined)
        : undefined),
  };
  const routing = { ...context, objects: withCreated };
  const routes = [...deriveHttp(routing, listeners), ...deriveStreams(routing, listeners)];
  return { resources: [...resources, ...routes, ...deriveBackendTls(routing)] as ResourceOf<Kind>[], findings };
}
