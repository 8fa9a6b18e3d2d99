/** Configurations of any size: external services behind one egress gateway, and a change of one of them that a request shows. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostOf, type ServiceState, serviceText } from './egress-config.ts';

/** Services a file, as people keep them: a change is found by reading a file with others in it. */
const PER_FILE = 250;

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

/** One state of the service that is changed: requests to it get the status. */
export type ProbeState = Required<ServiceState>;

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
    const texts = Array.from({ length: count }, (_, i) => serviceText(first + i, first + i === probe ? present : undefined));
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
