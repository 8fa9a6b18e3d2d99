import { isIp } from '../../lib/ip.ts';
import type {
  ClientTlsSettings,
  ConnectionPoolSettings,
  LoadBalancerSettings,
  LocalityLoadBalancerSetting,
  OutlierDetection,
  TrafficPolicy,
} from '../destination-rule.ts';
import { hostProblem, type Path, portProblem, type Report } from './checks.ts';

const SETTINGS = ['outlierDetection', 'connectionPool', 'loadBalancer', 'tls'] as const;
const MORE = ['tunnel', 'proxyProtocol', 'retryBudget'] as const;

export function trafficPolicyOf(policy: TrafficPolicy | undefined, path: Path, report: Report): void {
  if (!policy) return;
  const empty = [...SETTINGS, ...MORE].every((field) => policy[field] === undefined);
  if (empty && policy.portLevelSettings.length === 0) report({ path, message: 'must set at least one field' });
  if (policy.tunnel && policy.proxyProtocol)
    report({ path: [...path, 'proxyProtocol'], at: 'key', message: 'must not stand beside tunnel' });
  settingsOf(policy, path, report);
  policy.portLevelSettings.forEach((settings, index) => {
    const at = [...path, 'portLevelSettings', index];
    if (!settings.port) report({ path: at, message: 'needs a port' });
    if (SETTINGS.every((field) => settings[field] === undefined)) report({ path: at, message: 'must set at least one field beside port' });
    settingsOf(settings, at, report);
  });
  if (policy.tunnel) {
    const { protocol, targetHost, targetPort } = policy.tunnel;
    if (protocol !== '' && protocol !== 'CONNECT' && protocol !== 'POST')
      report({ path: [...path, 'tunnel', 'protocol'], message: `must be CONNECT or POST, not "${protocol}"` });
    const host = isIp(targetHost) ? undefined : hostProblem(targetHost);
    if (host) report({ path: [...path, 'tunnel', 'targetHost'], message: host });
    const port = portProblem(targetPort);
    if (port) report({ path: [...path, 'tunnel', 'targetPort'], message: port });
  }
}

function settingsOf(policy: Pick<TrafficPolicy, (typeof SETTINGS)[number]>, path: Path, report: Report): void {
  if (policy.outlierDetection) outlierOf(policy.outlierDetection, [...path, 'outlierDetection'], report);
  connectionPoolOf(policy.connectionPool, [...path, 'connectionPool'], report);
  if (policy.loadBalancer) loadBalancerOf(policy.loadBalancer, policy.outlierDetection, [...path, 'loadBalancer'], report);
  if (policy.tls) clientTlsOf(policy.tls, [...path, 'tls'], report);
}

function outlierOf(outlier: OutlierDetection, path: Path, report: Report): void {
  if (!outlier.splitExternalLocalOriginErrors && (outlier.consecutiveLocalOriginFailures ?? 0) > 0) {
    report({
      path: [...path, 'consecutiveLocalOriginFailures'],
      at: 'key',
      message: 'has no effect unless splitExternalLocalOriginErrors is true',
    });
  }
  for (const field of ['maxEjectionPercent', 'minHealthPercent'] as const) {
    const value = outlier[field];
    if (value !== undefined && (value < 0 || value > 100))
      report({ path: [...path, field], message: `must be from 0 to 100, not ${value}` });
  }
}

export function connectionPoolOf(pool: ConnectionPoolSettings | undefined, path: Path, report: Report): void {
  if (!pool) return;
  if (!pool.http && !pool.tcp) report({ path, message: 'needs http or tcp' });
  const notNegative = (value: number | undefined, at: Path) => {
    if (value !== undefined && value < 0) report({ path: at, message: `must not be negative, but is ${value}` });
  };
  for (const field of [
    'http1MaxPendingRequests',
    'http2MaxRequests',
    'maxRequestsPerConnection',
    'maxRetries',
    'maxConcurrentStreams',
  ] as const) {
    notNegative(pool.http?.[field], [...path, 'http', field]);
  }
  if (pool.http?.http2KeepAlive) {
    for (const field of ['interval', 'timeout'] as const)
      if (pool.http.http2KeepAlive[field] === undefined) report({ path: [...path, 'http', 'http2KeepAlive'], message: `needs ${field}` });
  }
  notNegative(pool.tcp?.maxConnections, [...path, 'tcp', 'maxConnections']);
  if (pool.http?.h2UpgradePolicy === 'UPGRADE' && pool.http.useClientProtocol) {
    report({ path: [...path, 'http', 'useClientProtocol'], at: 'key', message: 'must not stand beside h2UpgradePolicy UPGRADE' });
  }
}

function loadBalancerOf(settings: LoadBalancerSettings, outlier: OutlierDetection | undefined, path: Path, report: Report): void {
  const { consistentHash, localityLbSetting } = settings;
  if (consistentHash?.httpCookie?.name === '')
    report({ path: [...path, 'consistentHash', 'httpCookie', 'name'], message: 'must not be empty' });
  if (consistentHash?.maglev) {
    const size = consistentHash.maglev.tableSize ?? 0;
    if (size >= 5_000_011 || !isPrime(size)) {
      report({ path: [...path, 'consistentHash', 'maglev', 'tableSize'], message: `must be a prime number below 5000011, not ${size}` });
    }
  }
  const { zoneAwareLbSetting } = settings;
  if (localityLbSetting && zoneAwareLbSetting)
    report({ path: [...path, 'zoneAwareLbSetting'], at: 'key', message: 'must not stand beside localityLbSetting' });
  if (localityLbSetting) localityOf(localityLbSetting, outlier, [...path, 'localityLbSetting'], report);
  if (zoneAwareLbSetting) {
    const at = [...path, 'zoneAwareLbSetting'];
    failoverOf(zoneAwareLbSetting, outlier, at, report);
    zoneAwareLbSetting.failoverPriority.forEach((label, index) => {
      if (/^topology\.(?:kubernetes\.io\/(?:region|zone)|istio\.io\/subzone)$/.test(label))
        report({ path: [...at, 'failoverPriority', index], message: `must not name ${label}: regions and zones are followed anyway` });
    });
  }
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
}

function localityOf(setting: LocalityLoadBalancerSetting, outlier: OutlierDetection | undefined, path: Path, report: Report): void {
  const { distribute, failover, failoverPriority } = setting;
  if (distribute.length > 0 && (failover.length > 0 || failoverPriority.length > 0)) {
    report({ path: [...path, 'distribute'], at: 'key', message: 'must not stand beside failover or failoverPriority' });
  }
  distribute.forEach(({ to }, index) => {
    const at = [...path, 'distribute', index, 'to'];
    let total = 0;
    for (const locality in to) {
      if (to[locality] === 0) report({ path: [...at, locality], message: 'must not be 0: leave the locality out' });
      total += to[locality]!;
    }
    if (total !== 100) report({ path: at, message: `the weights must add up to 100, not ${total}` });
  });
  failoverOf(setting, outlier, path, report);
}

function failoverOf(
  { failover, failoverPriority }: Pick<LocalityLoadBalancerSetting, 'failover' | 'failoverPriority'>,
  outlier: OutlierDetection | undefined,
  path: Path,
  report: Report,
): void {
  if ((failover.length > 0 || failoverPriority.length > 0) && !outlier) {
    report({ path, level: 'Warning', message: 'failover needs outlierDetection: without it no endpoint ever counts as failed' });
  }
  failover.forEach(({ from, to }, index) => {
    const at = [...path, 'failover', index];
    if (from === to) report({ path: at, message: `fails over from "${from}" to itself` });
    for (const [field, locality] of [['from', from] as const, ['to', to] as const]) {
      if (locality.includes('*') || locality.includes('/'))
        report({ path: [...at, field], message: `"${locality}" must be a region, without zone or wildcard` });
    }
  });
}

function clientTlsOf(tls: ClientTlsSettings, path: Path, report: Report): void {
  const conflict = (field: string, message: string) => report({ path: [...path, field], at: 'key', message });
  if (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL') return;
  if (tls.insecureSkipVerify) {
    if (tls.caCertificates) conflict('caCertificates', 'must not stand beside insecureSkipVerify, which verifies nothing');
    if (tls.subjectAltNames.length > 0) conflict('subjectAltNames', 'must not stand beside insecureSkipVerify, which verifies nothing');
    if (tls.mode === 'SIMPLE' && tls.credentialName)
      conflict('credentialName', 'must not stand beside insecureSkipVerify, which verifies nothing');
  }
  if (tls.credentialName) {
    for (const field of ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'] as const) {
      if (tls[field]) conflict(field, 'must not stand beside credentialName: the Secret holds it');
    }
  } else if (tls.mode === 'MUTUAL') {
    for (const field of ['clientCertificate', 'privateKey'] as const) {
      if (!tls[field])
        report({ path, message: `mode MUTUAL needs a credentialName, or clientCertificate and privateKey; ${field} is missing` });
    }
  }
}
