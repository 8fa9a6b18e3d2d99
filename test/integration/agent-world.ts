/** A controller with its CA, and two gateways that speak mutual TLS with each other, each a stock Envoy with an agent, for tests of agents. */

import { writeFileSync } from 'node:fs';
import { get as ask } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createLocalToken } from '../../src/ca/local-tokens.ts';
import { freePort } from './cli/program.ts';
import { programWorld, wwwEntry } from './program-world.ts';

const filesOf = (front: number, back: number, upstream: number, version: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: back, namespace: shop }
spec:
  hosts: [back.example.com]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${back} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: back, namespace: shop }
spec:
  host: back.example.com
  trafficPolicy:
    connectionPool: { http: { maxRequestsPerConnection: 5 } }
    tls: { mode: ISTIO_MUTUAL, sni: back.example.com, subjectAltNames: [spiffe://cluster.local/ns/shop/sa/back] }${wwwEntry(upstream)}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: front, namespace: shop }
spec:
  selector: { app: front }
  servers: [{ port: { number: ${front}, name: http, protocol: HTTP }, hosts: ["*"] }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: back, namespace: shop }
spec:
  selector: { app: back }
  servers: [{ port: { number: ${back}, name: https, protocol: HTTPS }, tls: { mode: ISTIO_MUTUAL }, hosts: ["*"] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: front, namespace: shop }
spec:
  hosts: ["*"]
  gateways: [front]
  http:
  - headers: { response: { set: { x-version: "${version}" } } }
    route: [{ destination: { host: back.example.com, port: { number: 80 } } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: back, namespace: shop }
spec:
  hosts: ["*"]
  gateways: [back]
  http: [{ route: [{ destination: { host: www.example.com, port: { number: 80 } } }] }]
`;

export interface Answer {
  readonly status: number | undefined;
  /** What the back gateway says of the identity of the front one. */
  readonly from: string;
  readonly version: string | undefined;
}

/** A call through both gateways. */
export function call(port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = ask({ host: '127.0.0.1', port, headers: { host: 'www.example.com' }, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, from: body, version: answer.headers['x-version']?.toString() }));
    });
    request.on('error', reject);
  });
}

/** Calls one after another until it is stopped, which gives what was not answered as it should be, and the number of calls. */
export function callAllTheTime(port: number): () => Promise<{ readonly failed: readonly string[]; readonly count: number }> {
  let going = true;
  let count = 0;
  const failed: string[] = [];
  const loop = async () => {
    while (going) {
      count += 1;
      await call(port).then(
        ({ status, from }) => status === 200 || failed.push(`${status}: ${from}`),
        (error: Error) => failed.push(error.message),
      );
    }
  };
  const done = Promise.all([loop(), loop()]);
  return async () => {
    going = false;
    await done;
    return { failed, count };
  };
}

export async function agentWorld(t: TestContext) {
  const { folder, upstream, run } = await programWorld(t, 'agents', (request, answer) =>
    answer.end(String(request.headers['x-forwarded-client-cert'])),
  );
  const file = join(folder, 'mesh.yaml');
  const ca = join(folder, 'ca');
  const ports = await Promise.all(['0.0.0.0', '0.0.0.0', '127.0.0.1', '127.0.0.1'].map((address) => freePort(address)));
  const [front = 0, back = 0, xdsTls = 0, controllerStatus = 0] = ports;
  const write = (version: string) => writeFileSync(file, filesOf(front, back, upstream, version));
  write('1');
  /** Of the whole mesh. */
  const telemetry = (spec: string) =>
    writeFileSync(
      join(folder, 'telemetry.yaml'),
      `apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: { name: mesh, namespace: istio-system }\nspec: ${spec}\n`,
    );
  telemetry('{}');
  return {
    folder,
    ca,
    run,
    front,
    back,
    xdsTls,
    controllerStatus,
    write,
    telemetry,
    async control() {
      const where = ['--xds', '0', '--xds-tls', `127.0.0.1:${xdsTls}`, '--status-address', `127.0.0.1:${controllerStatus}`];
      const program = run('controller', file, join(folder, 'telemetry.yaml'), '--ca', ca, ...where);
      await program.says(/: ready/);
      return program;
    },
    /** A file with a token of the workload. */
    token(name: string, options: { readonly audience?: string; readonly lifeMs?: number; readonly at?: number } = {}): string {
      const { audience = 'istio-ca', lifeMs = 600_000, at = Date.now() } = options;
      const path = join(folder, `${name}.token`);
      writeFileSync(path, createLocalToken({ ca, namespace: 'shop', serviceAccount: name, audience, lifeMs }, at));
      return path;
    },
    /** An agent with its Envoy for the gateway of this name. */
    async agent(envoy: string, name: string, ...more: string[]) {
      const status = await freePort();
      const metrics = await freePort();
      const who = ['--workload', `shop/${name}-1`, '--service-account', name, '--label', `app=${name}`, '--role', 'router'];
      const where = [
        '--controller',
        `127.0.0.1:${xdsTls}`,
        '--root-cert',
        join(ca, 'root-cert.pem'),
        '--token-file',
        join(folder, `${name}.token`),
      ];
      const ends = ['--status-address', `127.0.0.1:${status}`, '--metrics-address', `127.0.0.1:${metrics}`, '--admin-address', '0'];
      const program = run('agent', ...who, ...where, ...ends, '--envoy', envoy, '--concurrency', '1', '--drain-duration', '1s', ...more);
      return { program, status, metrics };
    },
  };
}
