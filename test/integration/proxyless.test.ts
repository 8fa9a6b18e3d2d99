/** gRPC clients without a proxy, of JavaScript and of Go, that have their configuration from `sallyport controller`, with real servers behind. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Metadata, Server, ServerCredentials, type ServiceDefinition, status } from '@grpc/grpc-js';
import { authorityIn } from '../../src/ca/folder.ts';
import { freePort, Program } from './cli/program.ts';
import { until } from './controller-world.ts';
import { programWorld } from './program-world.ts';
import { Caller } from './proxyless/calls.ts';
import { builtGoClient } from './proxyless/go-client.ts';
import { needs } from './tools.ts';

const CLIENTS: readonly (readonly [name: string, command: () => readonly [string, ...string[]], skip: string | false])[] = [
  ['grpc-js', () => [process.execPath, join(import.meta.dirname, 'proxyless/client.ts')], false],
  ['grpc-go', () => [builtGoClient()], needs('go')],
];

const asItIs = (bytes: Buffer) => bytes;
const ECHO: ServiceDefinition = {
  Say: {
    path: '/test.Echo/Say',
    requestStream: false,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  },
};

interface Answering {
  readonly port: number;
  /** Calls that came. */
  readonly seen: { count: number };
}

/** Answers with its name; `fails: N` has the first N calls with an id fail as unavailable, `silent` gets no answer. */
async function echo(t: TestContext, name: string, credentials = ServerCredentials.createInsecure()): Promise<Answering> {
  const server = new Server();
  const seen = { count: 0 };
  const failures = new Map<string, number>();
  server.addService(ECHO, {
    Say: (call: { metadata: Metadata }, done: (error: object | null, answer?: Buffer) => void) => {
      seen.count += 1;
      const [id = '', fails = '0', silent] = ['id', 'fails', 'silent'].map((key) => call.metadata.get(key)[0]?.toString());
      const failed = failures.get(id) ?? 0;
      failures.set(id, failed + 1);
      if (silent) return;
      if (failed < Number(fails)) done({ code: status.UNAVAILABLE, details: 'not now' });
      else done(null, Buffer.from(name));
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  t.after(() => server.forceShutdown());
  return { port, seen };
}

interface Hosts {
  readonly a: number;
  readonly b: number;
  readonly secured: number;
}

const filesOf = ({ a, b, secured }: Hosts, weight: number) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: echo, namespace: shop }
spec:
  hosts: [echo.example.com]
  resolution: STATIC
  ports: [{ number: 80, name: grpc, protocol: GRPC }]
  endpoints:
  - { address: 127.0.0.1, ports: { grpc: ${a} }, labels: { version: a } }
  - { address: 127.0.0.1, ports: { grpc: ${b} }, labels: { version: b } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: echo, namespace: shop }
spec:
  host: echo.example.com
  subsets: [{ name: a, labels: { version: a } }, { name: b, labels: { version: b } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: echo, namespace: shop }
spec:
  hosts: [echo.example.com]
  http:
  - match: [{ headers: { to: { exact: b } } }]
    route: [{ destination: { host: echo.example.com, subset: b } }]
  - match: [{ headers: { to: { exact: nowhere } } }]
    redirect: { uri: /else }
  - match: [{ headers: { short: { exact: "yes" } } }]
    timeout: 0.3s
    route: [{ destination: { host: echo.example.com, subset: a } }]
  - retries: { attempts: 3, retryOn: "unavailable", perTryTimeout: 5s }
    route:
    - { destination: { host: echo.example.com, subset: a }, weight: ${weight} }
    - { destination: { host: echo.example.com, subset: b }, weight: ${100 - weight} }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: named, namespace: shop }
spec:
  hosts: [named.example.com]
  resolution: DNS
  ports: [{ number: 80, name: grpc, protocol: GRPC }]
  endpoints: [{ address: localhost, ports: { grpc: ${a} } }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: tls, namespace: shop }
spec:
  hosts: [tls.example.com]
  resolution: STATIC
  ports: [{ number: 80, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${a} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: tls, namespace: shop }
spec: { host: tls.example.com, trafficPolicy: { tls: { mode: SIMPLE, sni: tls.example.com } } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: secured, namespace: shop }
spec:
  hosts: [secured.example.com]
  resolution: STATIC
  ports: [{ number: 80, name: grpc, protocol: GRPC }]
  endpoints: [{ address: 127.0.0.1, ports: { grpc: ${secured} } }]
  subjectAltNames: [spiffe://cluster.local/ns/shop/sa/echo]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: secured, namespace: shop }
spec: { host: secured.example.com, trafficPolicy: { tls: { mode: ISTIO_MUTUAL } } }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: tcp, namespace: shop }
spec:
  hosts: [tcp.example.com]
  resolution: STATIC
  ports: [{ number: 80, name: tcp, protocol: TCP }]
  addresses: [192.0.2.9]
  endpoints: [{ address: 127.0.0.1, ports: { tcp: ${a} } }]
`;

/** What Istio's agent writes for GRPC_XDS_BOOTSTRAP. */
const bootstrapOf = (
  port: number,
  certificates: Readonly<Record<'certificate_file' | 'private_key_file' | 'ca_certificate_file', string>>,
) => ({
  xds_servers: [{ server_uri: `127.0.0.1:${port}`, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
  node: {
    id: 'sidecar~127.0.0.1~client-1.shop~shop.svc.cluster.local',
    cluster: 'client.shop',
    locality: {},
    metadata: { GENERATOR: 'grpc', NAME: 'client-1', NAMESPACE: 'shop', CLUSTER_ID: 'Kubernetes', LABELS: { app: 'client' } },
  },
  certificate_providers: { default: { plugin_name: 'file_watcher', config: { ...certificates, refresh_interval: '900s' } } },
  server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
});

async function world(t: TestContext) {
  const { folder, run } = await programWorld(t, 'proxyless', (_request, answer) => answer.end());
  const authority = authorityIn(join(folder, 'ca'), 'cluster.local', Date.now());
  const fileOf = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const issued = (account: string) => authority.issue(`spiffe://cluster.local/ns/shop/sa/${account}`, Date.now());
  const own = issued('default');
  const server = issued('echo');
  const pair = { cert_chain: Buffer.from(server.chain), private_key: server.key.reveal() as Buffer };
  const mutual = ServerCredentials.createSsl(Buffer.from(authority.trusted), [pair], true);
  const [a, b, secured] = [await echo(t, 'a'), await echo(t, 'b'), await echo(t, 'secured', mutual)];
  const file = join(folder, 'mesh.yaml');
  const write = (weight: number) => writeFileSync(file, filesOf({ a: a.port, b: b.port, secured: secured.port }, weight));
  write(100);
  const xds = await freePort();
  await run('controller', file, '--xds', String(xds), '--status-address', '0', '--ca', join(folder, 'ca')).says(/: ready/);
  const bootstrap = bootstrapOf(xds, {
    certificate_file: fileOf('chain.pem', own.chain),
    private_key_file: fileOf('key.pem', own.key.revealText()),
    ca_certificate_file: fileOf('root.pem', authority.trusted),
  });
  return { a, b, write, bootstrap: fileOf('bootstrap.json', JSON.stringify(bootstrap)) };
}

for (const [name, command, skip] of CLIENTS) {
  test(`a client of ${name} reaches what is declared, as it is declared, and nothing else`, { skip, timeout: 240_000 }, async (t) => {
    const { a, b, write, bootstrap } = await world(t);
    const program = new Program([`GRPC_XDS_BOOTSTRAP=${bootstrap}`, ...command()], ['env'], 'pipe');
    t.after(() => program.end());
    const client = new Caller(program);
    const call = client.call.bind(client);
    const many = async (count: number, ...of: Parameters<typeof call>) => {
      const answers = await Promise.all(Array.from({ length: count }, () => call(...of)));
      return answers.map(({ code, text }) => `${code} ${text}`);
    };

    await t.test('routes by headers, and to the subset with all the weight', async () => {
      assert.deepEqual(await many(10, 'echo.example.com:80'), Array(10).fill('0 a'));
      assert.deepEqual(await call('echo.example.com:80', { to: 'b' }), { code: 0, text: 'b' });
    });

    await t.test('retries what is unavailable, and no more often than the rule says', async () => {
      assert.deepEqual(await call('echo.example.com:80', { id: `${name}-1`, fails: '3' }), { code: 0, text: 'a' });
      const before = a.seen.count;
      assert.equal((await call('echo.example.com:80', { id: `${name}-2`, fails: '9' })).code, status.UNAVAILABLE);
      assert.equal(a.seen.count - before, 4);
    });

    await t.test('gives up at the timeout of the route', async () => {
      assert.equal((await call('echo.example.com:80', { short: 'yes', silent: 'yes' }, 60_000)).code, status.DEADLINE_EXCEEDED);
    });

    await t.test('looks up one name', async () => {
      assert.deepEqual(await call('named.example.com:80'), { code: 0, text: 'a' });
    });

    await t.test("speaks the mesh's mutual TLS where a rule asks for it", async () => {
      assert.deepEqual(await call('secured.example.com:80'), { code: 0, text: 'secured' });
    });

    await t.test('calls nobody where it cannot do what is asked for', async () => {
      const before = a.seen.count + b.seen.count;
      const calls = [
        ['tls.example.com:80', {}],
        ['tcp.example.com:80', {}],
        ['echo.example.com:80', { to: 'nowhere' }],
        ['echo.example.com:81', {}],
        ['other.example.com:80', {}],
      ] as const;
      const outcomes = await Promise.all(calls.map(([target, headers]) => call(target, headers)));
      // grpc-js waits for a listener that there is none of.
      const failed = ({ code }: (typeof outcomes)[number]) => code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED;
      assert.ok(outcomes.every(failed), JSON.stringify(outcomes));
      assert.equal(a.seen.count + b.seen.count, before);
    });

    await t.test('follows a change of weights', async () => {
      write(0);
      await until(async () => (await call('echo.example.com:80')).text === 'b');
      assert.deepEqual(await many(10, 'echo.example.com:80'), Array(10).fill('0 b'));
    });
  });
}
