/** What the status says of the audit. Pure. */
import type { Audit } from '../audit/audit.ts';

type Audited = Pick<Audit, 'state' | 'onFailure'>;

export function auditJson({ state, onFailure }: Audited): object {
  const { head, segment, failing, failures, lost } = state;
  return { audit: { acknowledged: head, segment, failing: failing ?? null, onFailure, failures, lost } };
}

/** In Prometheus' text format. */
export function auditMetrics({ state: { head, failing, failures, lost } }: Audited): string {
  return [
    ...metric('sallyport_audit_failing', 'gauge', 'Whether the audit cannot be written now.', failing === undefined ? 0 : 1),
    ...metric('sallyport_audit_failures_total', 'counter', 'Attempts to write or sign the audit that failed.', failures),
    ...metric('sallyport_audit_lost_total', 'counter', 'Lines that were lost, as more came than can wait.', lost),
    ...metric('sallyport_audit_acknowledged_line', 'gauge', 'The last line of the chain that is on the disk.', head.seq),
    '',
  ].join('\n');
}

function metric(name: string, type: string, help: string, value: number): readonly string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, `${name} ${value}`];
}
