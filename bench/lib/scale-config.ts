/** Configurations of any size: external services behind one egress gateway, and a change of one of them that a request shows. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Services a file, as people keep them: a change is found by reading a file with others in it. */
const PER_FILE = 250;

const EGRESS = 'istio-egressgateway.istio-system.svc.cluster.local';

const SHARED = `apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system, labels: {istio: egressgateway}}
spec:
  clusterIP: 10.96.100.100
  ports:
  - {name: http2, port: 80, targetPort: 8080}
  - {name: https, port: 443, targetPort: 8443}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: istio-system}
spec:
  selector: {istio: egressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*']
`;

/** One state of the service that is changed: its timeout in seconds, and the status of the fault that its requests get. */
export interface ProbeState {
  readonly timeout: number;
  readonly status: number;
}

const hostOf = (index: number): string => `svc-${index}.ext.example.com`;

function service(index: number, probe: ProbeState | undefined): string {
  const host = hostOf(index);
  const fault = probe ? `\n    fault: {abort: {httpStatus: ${probe.status}, percentage: {value: 100}}}` : '';
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: svc-${index}, namespace: default}
spec:
  hosts: [${host}]
  location: MESH_EXTERNAL
  resolution: DNS
  ports:
  - {number: 443, name: tls, protocol: TLS}
  - {number: 80, name: http, protocol: HTTP}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: svc-${index}, namespace: default}
spec:
  hosts: [${host}]
  gateways: [mesh, istio-system/egress]
  http:
  - match:
    - {gateways: [mesh], port: 80, headers: {x-tier: {exact: gold}}}
    route: [{destination: {host: ${EGRESS}, port: {number: 80}}}]
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: '5xx,reset'}
  - match:
    - {gateways: [mesh], port: 80}
    route: [{destination: {host: ${EGRESS}, port: {number: 80}}}]
    timeout: ${probe?.timeout ?? 5}s${fault}
    retries: {attempts: 2, perTryTimeout: 2s, retryOn: '5xx,reset'}
  - match:
    - {gateways: [istio-system/egress], port: 80, headers: {x-tier: {exact: gold}}}
    route: [{destination: {host: ${host}, port: {number: 80}}}]
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: '5xx,reset'}
  - match:
    - {gateways: [istio-system/egress], port: 80}
    route: [{destination: {host: ${host}, port: {number: 80}}}]
    timeout: 5s
    retries: {attempts: 2, perTryTimeout: 2s, retryOn: '5xx,reset'}
`;
}

export interface ScaleConfig {
  readonly folder: string;
  /** The host whose requests show the state. */
  readonly host: string;
  /** Replaces the file that holds the service, in one step as editors and deployments do. */
  change(state: ProbeState): void;
}

/** Writes a configuration of so many services, at least one, into a folder of its own. */
export function writeScaleConfig(folder: string, services: number, state: ProbeState): ScaleConfig {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'shared.yaml'), SHARED);
  const probe = Math.floor(services / 2);
  const file = (number: number) => join(folder, `services-${String(number).padStart(4, '0')}.yaml`);
  const write = (path: string, number: number, present: ProbeState) => {
    const first = number * PER_FILE;
    const count = Math.min(PER_FILE, services - first);
    const texts = Array.from({ length: count }, (_, i) => service(first + i, first + i === probe ? present : undefined));
    writeFileSync(path, texts.join('---\n'));
  };
  for (let number = 0; number * PER_FILE < services; number++) write(file(number), number, state);
  return {
    folder,
    host: hostOf(probe),
    change(next) {
      const number = Math.floor(probe / PER_FILE);
      write(`${file(number)}.new`, number, next);
      renameSync(`${file(number)}.new`, file(number));
    },
  };
}
