/** The access log service (envoy/service/accesslog/v3/als.proto), for the Envoy that this process runs. */
import type { Call, CallListener, Handler } from '../../../lib/grpc/server.ts';
import { STATUS } from '../../../lib/grpc/status.ts';
import type { ProxyIdentity } from '../../../lib/proxy-identity.ts';
import type { EnvoyAdmin } from '../admin.ts';
import { FIRST_THAT_TELLS, WATCHED } from './listeners.ts';
import { EnvoyFlows } from './source.ts';

const METHOD = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs';

/** For the last entries, when Envoy ends. */
export const LAST_ENTRIES_MS = 1000;

export const TOO_OLD_TO_TELL = `this Envoy is older than 1.${FIRST_THAT_TELLS}: it runs, and does not tell of its calls (sallyport flows, the console).`;

export function envoyFlows({ type, namespace, name }: ProxyIdentity, admin: EnvoyAdmin): EnvoyFlows {
  return new EnvoyFlows({
    workload: type === 'sidecar' ? `${namespace}/${name}` : undefined,
    // Envoy answers no questions for names.
    nameOf: () => undefined,
    date: Date.now,
    tellAll: (tell) => admin.setRuntime(WATCHED, tell ? '100' : '0'),
    counted: () => admin.logEntries(),
  });
}

/** By path, as `startGrpcServer` has methods. A stream is read for as long as Envoy has it open; nothing is answered. */
export function accessLogService(flows: EnvoyFlows): ReadonlyMap<string, Handler> {
  return new Map([[METHOD, (call) => listenerFor(call, flows)]]);
}

function listenerFor(call: Call, flows: EnvoyFlows): CallListener {
  call.begin();
  return { message: (bytes) => flows.take(bytes), halfClosed: () => call.end(STATUS.ok), closed: () => {} };
}
