import type { ResourceOf } from '../../api/index.ts';
import { isTcp, isTls } from '../../registry/protocol.ts';
import { logFilter } from '../../xds/log-filter.ts';
import type { Context } from '../context.ts';
import { externalServices } from '../egress-model.ts';

/** What only a request or its answer has; where it is missing Envoy's expression fails, and nothing is logged. */
const OF_REQUESTS =
  /\b(?:request\.(?:path|url_path|host|scheme|method|referer|headers|id|useragent|query)|response\.(?:code|headers|trailers|grpc_status))\b/;

/** SP1010: filters of access logs that stand where none is asked for, or are not understood. SP1064: those that leave connections out. */
export function logFilters(context: Context): void {
  const connections = hasConnections(context);
  for (const telemetry of context.of('Telemetry')) {
    for (const [i, { filter, providers, disabled }] of telemetry.spec.accessLogging.entries()) {
      const expression = filter?.expression;
      if (!expression || disabled) continue;
      const report = reporter(context, telemetry, i);
      if (providers.length === 0) {
        report(
          'SP1010',
          'This filter has no effect: Istio takes filters only from entries that name their providers. Name them beside it (providers: [{name: envoy}]).',
        );
        continue;
      }
      if (!logFilter(expression))
        report(
          'SP1010',
          `Sallyport’s proxies do not understand "${expression}" and log everything. Write it with comparisons of response.code and request.method, has(request.headers…), &&, || and !.`,
        );
      if (connections && leavesConnectionsOut(expression))
        report(
          'SP1064',
          `TLS that is passed on and other connections that are no HTTP have no ${OF_REQUESTS.exec(expression)![0]}: by this filter Istio logs none of them, those that are refused included. To have them logged write (${expression}) || !has(request.method).`,
        );
    }
  }
}

function reporter(context: Context, telemetry: ResourceOf<'Telemetry'>, index: number) {
  return (code: 'SP1010' | 'SP1064', text: string) =>
    context.report(code, telemetry, ['spec', 'accessLogging', index, 'filter', 'expression'], text);
}

/** An alternative may be for connections. */
function leavesConnectionsOut(expression: string): boolean {
  return OF_REQUESTS.test(expression) && !expression.includes('||') && !/!\s*has\(/.test(expression);
}

/** Whether calls to the outside are known that no proxy sees as requests. */
function hasConnections(context: Context): boolean {
  return externalServices(context).some(({ ports }) => ports.some(({ protocol }) => isTls(protocol) || isTcp(protocol)));
}
