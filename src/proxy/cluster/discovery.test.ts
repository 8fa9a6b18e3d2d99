import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { MetadataSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import { bindingOf } from '../../xds/match/binding.ts';
import { reachOf } from '../../xds/match/reach.ts';
import { typeRegistry } from '../../xds/type-registry.ts';
import type { Resolution } from '../dns/resolver.ts';
import { MaterialStore } from '../tls/material.ts';
import type { Address, ChoiceContext, UpstreamFailure, UpstreamHost } from '../types.ts';
import { UpstreamCluster } from './cluster.ts';
import { type Discovery, dynamicForwardProxy, originalDestination } from './discovery.ts';
import type { Host } from './host.ts';
import { readSettings } from './settings.ts';

type Answers = Readonly<Record<string, readonly string[]>>;

/** What a resolver says that knows these names alone. */
const environment = (answers: Answers) => ({
  now: () => 0,
  resolver: {
    resolve: (name: string): Promise<Resolution> =>
      Promise.resolve(
        name in answers
          ? ({ kind: 'found', ips: [...answers[name]!], ttlMs: 1 } as Resolution)
          : ({ kind: 'failed', reason: 'nobody answers' } as Resolution),
      ),
    close: () => undefined,
  },
});
const sallyport = (fields: { [key: string]: JsonValue }) => fromJson(MetadataSchema, { filterMetadata: { sallyport: fields } });
const said = (choice: UpstreamHost | UpstreamFailure): string =>
  'kind' in choice ? ('reason' in choice ? choice.reason : choice.kind) : choice.text;

async function chosen(discovery: Discovery, context: Partial<ChoiceContext>): Promise<string> {
  try {
    return await new Promise((resolve) => {
      const now = discovery.choose({ downstream: undefined, target: undefined, hash: undefined, ...context }, (later) =>
        resolve(said(later)),
      );
      if (now) resolve(said(now));
    });
  } finally {
    discovery.close();
  }
}

const to = (ip: string, more: object = {}) =>
  ({ downstream: { localAddressRestored: true, localAddress: { ip, port: 443 }, serverName: '', ...more } }) as unknown as ChoiceContext;

interface Original {
  readonly override?: number;
  readonly reach?: JsonValue;
  readonly bind?: JsonValue;
  readonly answers?: Answers;
}

function original(context: Partial<ChoiceContext>, { override, reach, bind, answers = {} }: Original = {}): Promise<string> {
  const config = fromJson(ClusterSchema, {
    name: 'c',
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    ...(override !== undefined && { original_dst_lb_config: { upstream_port_override: override } }),
  });
  const rules = {
    reach: reach === undefined ? undefined : reachOf(sallyport({ reach })),
    binding: bind === undefined ? undefined : bindingOf(sallyport({ bind })),
  };
  return chosen(originalDestination(readSettings(config), rules, environment(answers)), context);
}

test('a call goes on to the address that the client dialled', async () => {
  assert.equal(await original(to('203.0.113.7')), '203.0.113.7:443');
  assert.equal(await original(to('2001:db8::7')), '[2001:db8::7]:443');
  assert.equal(await original(to('203.0.113.7'), { override: 8443 }), '203.0.113.7:8443');
});

test('no host: nothing was dialled, or what stands for no address', async () => {
  assert.equal(await original({}), 'no-host');
  assert.equal(await original(to('203.0.113.7', { localAddressRestored: false })), 'no-host');
  for (const any of ['0.0.0.0', '::']) assert.equal(await original(to(any)), 'no-host', any);
});

test('an address of special use is reached where a range holds it', async () => {
  const reach = { ports: [443], ranges: ['10.0.0.0/8'] };
  assert.equal(await original(to('10.0.0.7'), { reach }), '10.0.0.7:443');
  assert.match(await original(to('127.0.0.1'), { reach }), /^127\.0\.0\.1 is /);
});

test('where a name alone leads to an address, the name has to have it', async () => {
  const bind = { mode: 'enforce', hosts: ['*.example', 'b.test'] };
  const answers = { 'a.example': ['203.0.113.7'], 'b.test': ['203.0.113.9'] };
  assert.equal(await original(to('203.0.113.7', { serverName: 'a.example' }), { bind, answers }), '203.0.113.7:443');
  assert.equal(await original(to('203.0.113.8', { serverName: 'a.example' }), { bind, answers }), '203.0.113.8 is no address of a.example');
  assert.equal(await original(to('203.0.113.9'), { bind, answers }), '203.0.113.9:443', 'the host that is declared');
  assert.equal(
    await original(to('203.0.113.7'), { bind: { ...bind, hosts: ['*.example'] }, answers }),
    'nothing says which of *.example 203.0.113.7 is',
  );
  assert.equal(await original(to('203.0.113.8'), { bind: { ...bind, mode: 'audit' }, answers }), '203.0.113.8:443');
});

function forwarded(target: Address | undefined, { reach, answers = {} }: Pick<Original, 'reach' | 'answers'> = {}): Promise<string> {
  const options = {
    family: 'v4-preferred' as const,
    defaultPort: 80,
    reach: reach === undefined ? undefined : reachOf(sallyport({ reach })),
    hostTtlMs: 1000,
  };
  return chosen(dynamicForwardProxy(options, environment(answers)), { target });
}

test('a host that the call names is looked up, within what the cluster may reach', async () => {
  const answers = { 'a.example': ['203.0.113.7', '203.0.113.8'], inner: ['10.0.0.7'], none: [] };
  const reach = { ports: [80, 8080], ranges: [] };
  assert.equal(await forwarded({ ip: 'A.example', port: 0 }, { answers }), '203.0.113.7:80');
  assert.equal(await forwarded({ ip: 'a.example', port: 8080 }, { answers, reach }), '203.0.113.7:8080');
  assert.equal(await forwarded({ ip: 'a.example', port: 22 }, { answers, reach }), 'port 22 is not declared, only 80, 8080');
  assert.match(await forwarded({ ip: 'inner', port: 80 }, { answers, reach }), /^10\.0\.0\.7 is /);
  assert.equal(await forwarded({ ip: 'inner', port: 80 }, { answers }), '10.0.0.7:80');
  assert.equal(await forwarded({ ip: 'none', port: 80 }, { answers }), 'no such host');
  assert.equal(await forwarded({ ip: 'gone', port: 80 }, { answers }), 'nobody answers');
  assert.equal(await forwarded(undefined), 'no-host');
});

test('names that are made up do not fill the memory: hosts that nobody uses are bounded, connections or not', async () => {
  const names = Array.from({ length: 10_000 }, (_, i) => `n${i}.example.com`);
  const options = { family: 'v4', defaultPort: 80, reach: undefined, hostTtlMs: 300_000 } as const;
  const discovery = dynamicForwardProxy(options, environment(Object.fromEntries(names.map((name) => [name, ['198.51.100.7']]))));
  const choose = (name: string) =>
    new Promise<UpstreamHost>((resolve) => {
      discovery.choose({ downstream: undefined, target: { ip: name, port: 80 }, hash: undefined }, (host) => resolve(host as UpstreamHost));
    });
  const used = await choose(names[0]!);
  used.active++;
  let most = 0;
  for (const name of names) {
    ((await choose(name)) as Host).connections++;
    most = Math.max(most, [...discovery.hosts].length);
  }
  assert.ok(most <= 1024, `${most} hosts`);
  assert.equal(used.live, true);
  assert.equal(await choose(names[0]!), used);
  discovery.close();
  assert.equal(used.live, false);
});

test('a host that has gone is told so, to those that hold connections to it', async () => {
  const options = { family: 'v4', defaultPort: 80, reach: undefined, hostTtlMs: 300_000 } as const;
  const names = Array.from({ length: 1025 }, (_, i) => `n${i}.example.com`);
  const discovery = dynamicForwardProxy(options, environment(Object.fromEntries(names.map((name) => [name, ['198.51.100.7']]))));
  const hosts: Host[] = [];
  for (const ip of names)
    await new Promise<void>((resolve) => {
      discovery.choose({ downstream: undefined, target: { ip, port: 80 }, hash: undefined }, (host) => {
        hosts.push(host as Host);
        resolve();
      });
    });
  const kept = new Set(discovery.hosts);
  assert.ok(kept.size < hosts.length);
  for (const host of hosts) assert.equal(host.live, kept.has(host), host.hostname);
  discovery.close();
  assert.ok(hosts.every(({ live }) => !live));
});

test('a call that names no port goes to that of its scheme', async (t) => {
  const type = 'type.googleapis.com/envoy.extensions';
  const config = {
    name: 'c',
    lb_policy: 'CLUSTER_PROVIDED',
    cluster_type: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typed_config: { '@type': `${type}.clusters.dynamic_forward_proxy.v3.ClusterConfig`, dns_cache_config: { name: 'c' } },
    },
  };
  const tls = { transport_socket: { name: 'tls', typed_config: { '@type': `${type}.transport_sockets.tls.v3.UpstreamTlsContext` } } };
  const called = async (more: object) => {
    const made = fromJson(ClusterSchema, { ...config, ...more }, { registry: typeRegistry });
    const env = {
      ...environment({ 'a.example': ['203.0.113.7'] }),
      store: new MaterialStore(),
      random: () => 0,
      internal: () => undefined,
    };
    const cluster = new UpstreamCluster(made, undefined, env);
    t.after(() => cluster.close());
    return new Promise<string>((resolve) => {
      cluster.choose({ downstream: undefined, target: { ip: 'a.example', port: 0 }, hash: undefined }, (later) => resolve(said(later)));
    });
  };
  assert.deepEqual([await called({}), await called(tls)], ['203.0.113.7:80', '203.0.113.7:443']);
});
