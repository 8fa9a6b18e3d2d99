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

/** `portLevelSettings` of the port replace the general settings as a whole: what they leave out is the default. */
export function portPolicy(policy: TrafficPolicy | undefined, port: number): PortPolicy {
  if (!policy) return NO_POLICY;
  const { connectionPool, loadBalancer, outlierDetection, tls } =
    policy.portLevelSettings.find((each) => each.port?.number === port) ?? policy;
  return { connectionPool, loadBalancer, outlierDetection, tls, proxyProtocol: policy.proxyProtocol, retryBudget: policy.retryBudget };
}

/** What a subset states replaces the rule's, setting by setting. */
export function subsetPolicy(ofRule: PortPolicy, subset: Subset, port: number): PortPolicy {
  if (!subset.trafficPolicy) return ofRule;
  const own = portPolicy(subset.trafficPolicy, port);
  return {
    connectionPool: own.connectionPool ?? ofRule.connectionPool,
    loadBalancer: own.loadBalancer ?? ofRule.loadBalancer,
    outlierDetection: own.outlierDetection ?? ofRule.outlierDetection,
    tls: own.tls ?? ofRule.tls,
    proxyProtocol: own.proxyProtocol ?? ofRule.proxyProtocol,
    retryBudget: own.retryBudget ?? ofRule.retryBudget,
  };
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
