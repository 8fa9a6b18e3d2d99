import type { HttpRoute } from '../../api/index.ts';
import { isTls } from '../../registry/protocol.ts';
import type { Context } from '../context.ts';
import { concernedPorts, holdsOnMesh, onMesh, withDelegates } from '../egress-model.ts';

/** SP1039: `http` rules for ports whose bytes a sidecar does not read as HTTP: no request ever meets them. */
export function httpRulesOnTls(context: Context): void {
  for (const alone of context.of('VirtualService')) {
    if (!onMesh(alone)) continue;
    const virtualService = withDelegates(context, alone);
    for (const [i, rule] of virtualService.spec.http.entries()) {
      const concerned = concernedPorts(context, virtualService, rule);
      const first = concerned[0];
      if (!first || holdsOnMesh(concerned)) continue;
      const ports = [...new Set(concerned.map(({ service, port }) => `${service.hostname} port ${port.number} (${port.protocol})`))];
      const kind = isTls(first.port.protocol) ? 'tls' : 'tcp';
      context.report(
        'SP1039',
        virtualService,
        ['spec', 'http', i],
        `This http rule is for ${ports.join(', ')}, where sidecars see ${kind === 'tls' ? 'TLS that the application closed itself' : 'bytes that they do not read'}: it never holds, and ${effects(rule)} without effect. Let the application call plain HTTP (a port of protocol HTTP) and originate TLS with a DestinationRule, or write a ${kind} rule, which can route and no more.`,
      );
    }
  }
}

/** What the rule asks for, as the subject of a sentence. */
function effects({
  timeout,
  retries,
  fault,
  mirror,
  mirrors,
  headers,
  rewrite,
  redirect,
  directResponse,
  corsPolicy,
  route,
}: HttpRoute): string {
  const asked: readonly (readonly [boolean, string])[] = [
    [Boolean(timeout), 'its timeout'],
    [retries !== undefined, 'its retries'],
    [fault !== undefined, 'its fault'],
    [mirror !== undefined || mirrors.length > 0, 'its mirroring'],
    [headers !== undefined, 'its header changes'],
    [rewrite !== undefined, 'its rewrite'],
    [redirect !== undefined, 'its redirect'],
    [directResponse !== undefined, 'its answer'],
    [corsPolicy !== undefined, 'its CORS policy'],
    [route.length > 0, 'its route'],
  ];
  const names = asked.filter(([is]) => is).map(([, name]) => name);
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)} are` : `${names[0] ?? 'it'} is`;
}
