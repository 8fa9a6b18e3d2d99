/** An explanation as text. */
import { originText } from '../lib/origin.ts';
import type { Explanation } from '../prove/explain.ts';
import type { SeenResponse } from '../simulate/response.ts';
import { tlsText } from '../simulate/security.ts';
import type { Outcome, Sent, Step } from '../simulate/trace.ts';
import type { Paint } from './paint.ts';

export function explanationText(
  { from, withoutSidecar, pastSidecar, destination, resolved, trace, copies, advice, ending }: Explanation,
  paint: Paint,
): string {
  const aside = withoutSidecar === undefined ? pastSidecar && `past its sidecar: ${pastSidecar}` : `no sidecar: it ${withoutSidecar}`;
  const caller = aside === undefined ? from : `${from} (${aside})`;
  const lines = [`${paint('bold', caller)} connects to ${destination}${resolved ? ` (${resolved})` : ''}`];
  for (const hop of trace.hops) {
    lines.push('', `${paint('bold', hop.proxy)}${hop.flag ? `  flag ${paint('red', hop.flag)}` : ''}`);
    for (const step of hop.steps) lines.push(`  ${stepLine(step, paint)}`);
  }
  lines.push('', outcomeLine(trace.outcome, paint));
  if (ending) lines.push(`${paint('red', 'Fails')}: the application sees ${ending.status ?? 'its connection fail'}: ${ending.because}`);
  for (const line of trace.response ? responseLines(trace.response) : []) lines.push(`  ${line}`);
  for (const copy of copies) {
    const way = copy.hops.map(({ proxy, cluster }) => `${proxy} ${cluster}`.trim()).join(' > ');
    lines.push('', `${paint('bold', 'A copy')} of the request, by ${way}`, outcomeLine(copy.outcome, paint));
  }
  if (advice) {
    for (const line of advice.nearMisses) lines.push(`  ${line}`);
    for (const line of advice.whyNot) lines.push(`  ${line}`);
    if (advice.allow) lines.push('', 'To allow this call, add:', '', advice.allow.trimEnd());
  }
  return `${lines.join('\n')}\n`;
}

function stepLine({ kind, name, text, origins }: Step, paint: Paint): string {
  const where = origins.map((origin) => originText(origin)).join(', ');
  return `${paint('dim', kind.padEnd(13))} ${name ? `${paint('cyan', name)}: ` : ''}${text}${where ? paint('dim', `  [${where}]`) : ''}`;
}

/** What proxies change of the response; nothing where they pass it on as it is. */
function responseLines({ status, headers, removed }: SeenResponse): string[] {
  const changes = [
    ...headers.map(({ name, value, how }) => `${name}: ${value}${how === 'added' && status === undefined ? ' (added)' : ''}`),
    ...(removed.length > 0 ? [`without ${removed.join(', ')}`] : []),
  ];
  const whose = status === undefined ? "the server's answer" : `status ${status}`;
  return changes.length > 0 ? [`The application sees ${whose} with`, ...changes.map((change) => `  ${change}`)] : [];
}

/** What the server is spoken to in, and how TLS is held to be its. */
function protocolText({ originates, payload }: Sent): string {
  if (originates) return `TLS, ${tlsText(originates)}`;
  if (payload.tls) return `TLS, SNI ${payload.tls.serverName || 'none'}`;
  return payload.http ? `HTTP, Host ${payload.http.authority}` : 'TCP';
}

/** What the application sees. */
function outcomeLine(outcome: Outcome, paint: Paint): string {
  switch (outcome.kind) {
    case 'upstream': {
      const where = outcome.endpoint ? `${outcome.endpoint.ip}:${outcome.endpoint.port}` : outcome.host;
      return `${paint('green', 'Reaches')} ${outcome.host && outcome.endpoint ? `${outcome.host} at ` : ''}${where} (${protocolText(outcome)})`;
    }
    case 'reply':
      return `${paint(outcome.status >= 400 ? 'red' : 'green', 'Answered')} ${outcome.status} by the proxy${outcome.location ? `, location ${outcome.location}` : ''} (${outcome.details})`;
    case 'closed':
      return `${paint('red', 'Closed')}: the application sees its connection accepted and closed (${outcome.details})`;
    case 'undecided':
      return `${paint('yellow', 'Undecided')}: ${outcome.details}`;
  }
}
