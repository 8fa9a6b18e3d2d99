import { type Infer, integer, list, map, object, port, required, string, withDefault } from './schema.ts';
import { workloadEntry } from './workload-entry.ts';

const count = () => integer(0, 0x7fff_ffff);

export const readinessProbe = object(
  {
    initialDelaySeconds: count(),
    timeoutSeconds: count(),
    periodSeconds: count(),
    successThreshold: count(),
    failureThreshold: count(),
    httpGet: object({
      path: string(),
      port: required(port()),
      host: string(),
      scheme: string({ pattern: /^(HTTPS?)?$/ }),
      httpHeaders: list(object({ name: withDefault(string({ pattern: /^[-_A-Za-z0-9]+$/ }), ''), value: string() })),
    }),
    tcpSocket: object({ host: string(), port: required(port()) }),
    exec: object({ command: required(list(string({ minLength: 1 }))) }),
    grpc: object({ port: port(), service: string() }),
  },
  { atMostOne: [['httpGet', 'tcpSocket', 'exec', 'grpc']] },
);
export type ReadinessProbe = Infer<typeof readinessProbe>;

/** The pattern for WorkloadEntries that register themselves. */
export const workloadGroup = object({
  metadata: object({ labels: map(string(), { maxProperties: 256 }), annotations: map(string(), { maxProperties: 256 }) }),
  template: required(workloadEntry),
  probe: readinessProbe,
});
export type WorkloadGroup = Infer<typeof workloadGroup>;
