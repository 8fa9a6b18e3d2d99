/** Which settings of a DestinationRule hold for one port and subset. */
import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  LoadBalancerSettings,
  OutlierDetection,
  Subset,
  TrafficPolicy,
} from '../api/index.ts';

export interface PortPolicy {
  readonly connectionPool: ConnectionPoolSettings | undefined;
  readonly loadBalancer: LoadBalancerSettings | undefined;
  readonly outlierDetection: OutlierDetection | undefined;
  readonly tls: ClientTlsSettings | undefined;
  readonly proxyProtocol: TrafficPolicy['proxyProtocol'];
  readonly retryBudget: TrafficPolicy['retryBudget'];
}

const NO_POLICY: PortPolicy = {
  connectionPool: undefined,
  loadBalancer: undefined,
  outlierDetection: undefined,
  tls: undefined,
  proxyProtocol: undefined,
  retryBudget: undefined,
};

/** `portLevelSettings` of the port replace the general settings as a whole: what they leave out, or can't say, is the default. */
export function portPolicy(policy: TrafficPolicy | undefined, port: number): PortPolicy {
  if (!policy) return NO_POLICY;
  const ofPort = settingsOfPort(policy, port);
  const { connectionPool, loadBalancer, outlierDetection, tls } = ofPort ?? policy;
  const { proxyProtocol, retryBudget } = ofPort ? NO_POLICY : policy;
  return { connectionPool, loadBalancer, outlierDetection, tls, proxyProtocol, retryBudget };
}

/** What a subset states replaces the rule's, setting by setting; its `portLevelSettings` of the port replace as a whole what they can say. */
export function subsetPolicy(ofRule: PortPolicy, { trafficPolicy }: Subset, port: number): PortPolicy {
  if (!trafficPolicy) return ofRule;
  const own = portPolicy(trafficPolicy, port);
  const { proxyProtocol = ofRule.proxyProtocol, retryBudget = ofRule.retryBudget } = own;
  if (settingsOfPort(trafficPolicy, port)) return { ...own, proxyProtocol, retryBudget };
  return {
    connectionPool: own.connectionPool ?? ofRule.connectionPool,
    loadBalancer: own.loadBalancer ?? ofRule.loadBalancer,
    outlierDetection: own.outlierDetection ?? ofRule.outlierDetection,
    tls: own.tls ?? ofRule.tls,
    proxyProtocol,
    retryBudget,
  };
}

/**
 * The TLS mode that a rule states for a port, by which Istio tells endpoints apart where the cluster's own TLS is the mesh's: `portLevelSettings` that say
 * nothing of it leave the general one in force here, though the cluster does not have it.
 */
export function statedMode(
  rule: TrafficPolicy | undefined,
  subset: TrafficPolicy | undefined,
  port: number,
): ClientTlsSettings['mode'] | undefined {
  const of = (policy: TrafficPolicy | undefined) => policy && (settingsOfPort(policy, port)?.tls ?? policy.tls)?.mode;
  return of(subset) ?? of(rule);
}

function settingsOfPort({ portLevelSettings }: TrafficPolicy, port: number): TrafficPolicy['portLevelSettings'][number] | undefined {
  return portLevelSettings.find((each) => each.port?.number === port);
}

/** What the API accepts here and this version leaves without effect, by its path below a traffic policy. */
export function withoutEffect({ loadBalancer, outlierDetection, retryBudget }: PortPolicy): readonly string[] {
  const fields: [unknown, string][] = [
    [loadBalancer?.backendUtilization, 'loadBalancer.backendUtilization'],
    [loadBalancer?.zoneAwareLbSetting, 'loadBalancer.zoneAwareLbSetting'],
    [outlierDetection?.outlierDetectionHttpErrorCodes.length, 'outlierDetection.outlierDetectionHttpErrorCodes'],
    [retryBudget?.budgetInterval, 'retryBudget.budgetInterval'],
  ];
  return fields.filter(([value]) => value).map(([, path]) => path);
}
