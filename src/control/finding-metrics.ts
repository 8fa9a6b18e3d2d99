/** What a control plane says of itself for Prometheus: findings, by which an operator is alerted, and who is served. Pure. */
import type { Finding } from '../lib/finding.ts';
import type { Report } from './report.ts';

/** In Prometheus' text format. */
export function metricsText(report: Report): string {
  const refused = report.proxies.filter(({ refusals }) => refusals.length > 0).length;
  return [
    '# HELP sallyport_findings Findings that stand, as analyze and the status have them.',
    '# TYPE sallyport_findings gauge',
    ...[...counted(report.findings)].sort().map(([labels, count]) => `sallyport_findings{${labels}} ${count}`),
    '# HELP sallyport_proxies Proxies that are served.',
    '# TYPE sallyport_proxies gauge',
    `sallyport_proxies ${report.proxies.length}`,
    '# HELP sallyport_proxies_refusing Proxies that refused something of what they were sent.',
    '# TYPE sallyport_proxies_refusing gauge',
    `sallyport_proxies_refusing ${refused}`,
    '',
  ].join('\n');
}

function counted(findings: readonly Finding[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { code, level, origin } of findings) {
    const labels = `code="${code}",level="${level}",namespace="${escaped(origin.namespace)}"`;
    counts.set(labels, (counts.get(labels) ?? 0) + 1);
  }
  return counts;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
