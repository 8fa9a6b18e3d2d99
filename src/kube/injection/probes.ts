/** The kubelet's probes of an application behind a sidecar: it asks the agent, which is not captured and asks the application on loopback. */
import { PROXY_CONTAINER } from '../../api/injection.ts';
import type { Container, Fields, PodSpec } from './pod.ts';

/** Variable of the probes that an agent makes, as Istio's reads it. */
export const APP_PROBERS = 'ISTIO_KUBE_APP_PROBERS';

const PROBES = { readinessProbe: 'readyz', livenessProbe: 'livez', startupProbe: 'startupz' } as const;
const HANDLERS = { preStop: 'prestopz', postStart: 'poststartz' } as const;

interface Action extends Fields {
  readonly httpGet?: Fields;
  readonly tcpSocket?: Fields;
  readonly grpc?: Fields;
}

export interface RewrittenProbes {
  readonly spec: PodSpec;
  /** By path at the agent, as JSON; undefined if there are none. */
  readonly probers: string | undefined;
}

/** @param port of the agent */
export function rewriteProbes(spec: PodSpec, port: number): RewrittenProbes {
  const probers: Record<string, Fields> = {};
  const rewritten = (container: Container): Container => {
    if (container.name === PROXY_CONTAINER) return container;
    const result: Record<string, unknown> = { ...container };
    const move = (action: Action | undefined, path: string): Action | undefined => {
      const prober = action && proberOf(action, container, port);
      if (!action || !prober) return undefined;
      probers[path] = prober;
      const { httpGet, tcpSocket: _tcp, grpc: _grpc, ...others } = action;
      const { host: _host, scheme: _scheme, ...get } = httpGet ?? {};
      return { ...others, httpGet: { ...get, path, port } };
    };
    for (const [field, word] of Object.entries(PROBES)) {
      const moved = move(container[field] as Action | undefined, `/app-health/${container.name}/${word}`);
      if (moved) result[field] = moved;
    }
    for (const [field, word] of Object.entries(HANDLERS)) {
      const moved = move(container.lifecycle?.[field] as Action | undefined, `/app-lifecycle/${container.name}/${word}`);
      if (moved) result.lifecycle = { ...(result.lifecycle as Fields), [field]: moved };
    }
    return result as Container;
  };
  const { initContainers, containers } = spec;
  const moved = {
    ...spec,
    containers: containers.map(rewritten),
    ...(initContainers ? { initContainers: initContainers.map(rewritten) } : {}),
  };
  return { spec: moved, probers: Object.keys(probers).length > 0 ? JSON.stringify(probers) : undefined };
}

/** With the port as a number; undefined for what the agent does not ask: commands, ports by a name that there is not, and what goes to it already. */
function proberOf(action: Action, container: Container, agent: number): Fields | undefined {
  const { httpGet, tcpSocket, grpc, timeoutSeconds } = action;
  const timeout = timeoutSeconds === undefined ? {} : { timeoutSeconds };
  if (grpc) return { grpc, ...timeout };
  const target = httpGet ?? tcpSocket;
  const said = target?.port;
  const port = typeof said === 'string' && !/^\d+$/.test(said) ? container.ports?.find(({ name }) => name === said)?.containerPort : said;
  if (port === undefined || Number(port) === agent) return undefined;
  return { [httpGet ? 'httpGet' : 'tcpSocket']: { ...target, port: Number(port) }, ...timeout };
}
