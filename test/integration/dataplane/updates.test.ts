import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { cluster, dataPlane, listener, typed } from './support.ts';

async function httpServer(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const made = createServer(answer).listen(0, '127.0.0.1');
  await once(made, 'listening');
  t.after(() => {
    made.close();
    made.closeAllConnections();
  });
  return (made.address() as AddressInfo).port;
}

/** A connection manager that takes routes by name, or has one route of its own. */
function manager(route: { rds: string } | { cluster: string }): JsonObject {
  const routes: JsonObject =
    'rds' in route
      ? { rds: { routeConfigName: route.rds, configSource: { ads: {} } } }
      : { routeConfig: routeConfiguration('own', route.cluster) };
  return {
    name: 'http',
    typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
      statPrefix: 'h',
      ...routes,
      httpFilters: [{ name: 'router', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router') }],
    }),
  };
}

function routeConfiguration(name: string, to: string): JsonObject {
  return { name, virtualHosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: to } }] }] };
}

async function request(port: number, agent?: Agent): Promise<string> {
  const [response] = (await once(get({ host: '127.0.0.1', port, path: '/', agent }), 'response')) as [IncomingMessage];
  let text = '';
  for await (const piece of response) text += piece;
  return `${response.statusCode} ${text}`;
}

test('a running request ends as it began while its chain, route and cluster go; the next ones take the new way', async (t) => {
  let release: () => void = () => {};
  const started = new Promise<void>((resolve) => {
    release = resolve;
  });
  let waiting: ServerResponse | undefined;
  const a = await httpServer(t, (_, response) => {
    response.write('begun ');
    waiting = response;
    release();
  });
  const b = await httpServer(t, (_, response) => response.end('b'));
  const { set, port, plane } = await dataPlane(t);
  await set({
    listeners: [listener('l', [{ filters: [manager({ rds: 'r' })] }])],
    routes: [routeConfiguration('r', 'a')],
    clusters: [cluster('a', [a])],
  });
  const at = port('l');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const running = request(at, agent);
  await started;
  await set({ listeners: [listener('l', [{ filters: [manager({ cluster: 'b' })] }])], clusters: [cluster('b', [b])] });
  assert.equal(port('l'), at);
  assert.equal(await request(at), '200 b');
  waiting!.end('and ended');
  assert.equal(await running, '200 begun and ended');
  // The old connection closes, so the agent makes a new one; before it has seen that, it would send the next request there.
  const kept = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
  await Promise.all(kept.filter((socket) => !socket.destroyed).map((socket) => once(socket, 'close')));
  assert.equal(await request(at, agent), '200 b');
  assert.deepEqual(
    plane.status().clusters.map(({ name }) => name),
    ['b'],
  );
});

test('no request is lost while listeners, routes, clusters and endpoints change under load', async (t) => {
  const ports = await Promise.all(['a', 'b'].map((name) => httpServer(t, (_, response) => response.end(name))));
  const { set, port } = await dataPlane(t);
  const json = (round: number) => {
    const eds = { type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} }, serviceName: 'e' }, loadAssignment: undefined };
    const { loadAssignment: _, ...dynamic } = { ...cluster('dynamic', []), ...eds };
    return {
      listeners: [listener('l', [{ name: `chain-${round >> 2}`, filters: [manager({ rds: 'r' })] }])],
      routes: [routeConfiguration('r', round % 2 ? 'dynamic' : 'static')],
      clusters: [cluster('static', [ports[0]!], { connectTimeout: `${5 + (round % 3)}s` }), dynamic as JsonObject],
      endpoints: [
        {
          clusterName: 'e',
          endpoints: [
            { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: ports[round % 2]! } } } }] },
          ],
        },
      ],
    };
  };
  assert.deepEqual((await set(json(0))).rejected, []);
  const at = port('l');
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.after(() => agent.destroy());
  let done = false;
  const answers: Record<string, number> = {};
  const load = Array.from({ length: 8 }, async () => {
    while (!done) {
      const answer = await request(at, agent);
      answers[answer] = (answers[answer] ?? 0) + 1;
    }
  });
  for (let round = 1; round <= 40; round++) {
    assert.deepEqual((await set(json(round))).rejected, []);
    await request(at);
  }
  done = true;
  await Promise.all(load);
  assert.deepEqual(Object.keys(answers).sort(), ['200 a', '200 b'], JSON.stringify(answers));
});

test('a patch changes one virtual host; one for a version that is not in force is refused', async (t) => {
  const { set, port, plane } = await dataPlane(t);
  const answer = (name: string, domain: string, status: number): JsonObject => ({
    name,
    domains: [domain],
    routes: [{ match: { prefix: '/' }, directResponse: { status } }],
  });
  const json = (status: number) => ({
    listeners: [listener('l', [{ filters: [manager({ rds: 'r' })] }])],
    routes: [{ name: 'r', virtualHosts: [answer('one', 'one.example', 201), answer('all', '*', status)] }],
  });
  await set(json(202));
  await set(json(203));
  assert.equal(await request(port('l')), '203 ');
  const patch = { base: 'another', frame: new Uint8Array(), hosts: [] };
  const { rejected } = await plane.apply({ version: '3', changed: [{ type: 'route', name: 'r', version: '3', patch }], removed: [] });
  assert.match(rejected[0]!.message, /a patch of route r for a version that is not in force/);
  assert.equal(await request(port('l')), '203 ');
});
