/** Editing, breaking and mending files under load, and ports that an ordinary user may not have. */
import assert from 'node:assert/strict';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer } from './outside.ts';
import { needs } from './tools.ts';
import { run, World } from './world.ts';

const host = 'web.test';

function config(version: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec:
  hosts: [${host}]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [${host}]
  http:
  - headers: {response: {set: {x-version: ${version}}}}
    route: [{destination: {host: ${host}}}]
`;
}

/** Requests over eight kept-alive connections, one after the other on each, until it is stopped. */
class Load {
  readonly failures: string[] = [];
  readonly versions = new Set<string>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 });
  readonly #world: World;
  readonly #loops: Promise<void>[];
  #stopped = false;
  #waiting: (() => void)[] = [];

  constructor(world: World) {
    this.#world = world;
    this.#loops = Array.from({ length: 8 }, () => this.#loop());
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const answer = await this.#once().catch((error: Error) => error.message);
      if (answer.startsWith('200 ')) this.versions.add(answer.slice(4));
      else this.failures.push(answer);
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }

  #once(): Promise<string> {
    const options = { host: this.#world.sidecar, port: 15_080, path: `http://${host}/`, headers: { host }, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const request = get(options, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(`${answer.statusCode} ${answer.headers['x-version']}`));
        answer.on('error', reject);
      });
      request.on('error', reject);
    });
  }

  /** Resolves once an answer carried this version. */
  async sees(version: string): Promise<void> {
    while (!this.versions.has(version)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
  }
}

async function loaded(t: TestContext): Promise<{ world: World; load: Load }> {
  const web = await startServer(t);
  const world = await World.start(t, {
    files: { 'web.yaml': config('v1') },
    mesh: { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } },
    hosts: { [host]: '198.18.0.1' },
    servers: { '198.18.0.1:80': web.port },
  });
  const load = new Load(world);
  t.after(() => load.stop());
  await load.sees('v1');
  return { world, load };
}

test('edited files take effect under load without a dropped request', async (t) => {
  const { world, load } = await loaded(t);
  for (const version of ['v2', 'v3', 'v4']) {
    world.write('web.yaml', config(version));
    await load.sees(version);
  }
  await load.stop();
  assert.deepEqual(load.failures, []);
  assert.deepEqual([...load.versions], ['v1', 'v2', 'v3', 'v4']);
});

test('a broken file leaves the last good version in force and says where it is broken', async (t) => {
  const { world, load } = await loaded(t);
  const broken = config('v2').replace('  http:\n', '  http\n\t- broken\n');
  world.write('web.yaml', broken);
  await world.says(/web\.yaml:1[3-6]:\d+/);
  // What comes after it was said is still served.
  load.versions.clear();
  await load.sees('v1');
  assert.deepEqual([...load.versions], ['v1']);
  world.write('web.yaml', config('v3'));
  await load.sees('v3');
  await load.stop();
  assert.deepEqual(load.failures, []);
});

test('a port for which there is no permission ends it with 3 and says what to do', {
  skip: needs('root', 'unshare', 'setpriv', 'ip'),
}, async () => {
  const program = [process.execPath, join(import.meta.dirname, 'sallyport.ts'), 'up', '-', '--proxy-address', '127.0.0.1:80'];
  // A network namespace of its own, where low ports are forbidden whatever this machine allows; without the capability that root would have.
  const unprivileged = ['--bounding-set=-net_bind_service', '--inh-caps=-net_bind_service'];
  const { code, stderr } = await run('unshare', [
    '-n',
    'sh',
    '-c',
    'ip link set lo up && exec setpriv "$@"',
    'sh',
    ...unprivileged,
    ...program,
  ]);
  assert.match(stderr, /no permission to listen on 127\.0\.0\.1:80: ports below 1024 need CAP_NET_BIND_SERVICE/);
  assert.equal(code, 3);
});
