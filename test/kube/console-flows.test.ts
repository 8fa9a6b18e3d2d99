/** Calls in the console of a real cluster: who was refused and why, for the people of their namespace alone, told by injected pods of both engines. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { skip as skipPages } from '../console/world.ts';
import { findTool } from '../integration/tools.ts';
import { CLIENT_IMAGE, KubeNode, NETWORK, needsNode } from './node.ts';

const skip = needsNode() || skipPages;
const ADDRESS = '10.59.118.61';
const ENGINES = ['envoy', 'embedded'] as const;
const TEAMS = { alice: 'shop', bob: 'payments' } as const;

const PEOPLE = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: console-looker }
rules:
- { apiGroups: [networking.istio.io], resources: [virtualservices], verbs: [list] }
- { apiGroups: [""], resources: [pods], verbs: [list] }
---
apiVersion: v1
kind: Namespace
metadata: { name: people }
`;

const team = (name: string, space: string) => `
apiVersion: v1
kind: Namespace
metadata: { name: ${space}, labels: { istio-injection: enabled } }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: people }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: ${name}, namespace: ${space} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: console-looker }
subjects: [{ kind: ServiceAccount, name: ${name}, namespace: people }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: www, namespace: ${space} }
spec: { hosts: [www.example.com], exportTo: ["."], location: MESH_EXTERNAL, resolution: STATIC, ports: [{ number: 80, name: http, protocol: HTTP }], endpoints: [{ address: ${ADDRESS} }] }
`;

const pod = (engine: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `client-${engine}`, labels: { app: `client-${engine}` }, annotations: { 'sallyport.dev/engine': engine } },
  spec: { containers: [{ name: 'app', image: CLIENT_IMAGE, command: ['sleep', '86400'] }], terminationGracePeriodSeconds: 1 },
});

let node: KubeNode;

before(
  async () => {
    if (skip) return;
    node = await KubeNode.start();
    await node.address(ADDRESS);
    // Proxies are connected to either, and the console is one's.
    await node.install('console.enabled=true', 'replicas=2');
    await node.apply([PEOPLE, ...Object.entries(TEAMS).map(([name, space]) => team(name, space))].join('---'));
    // The first may come before the API server knows by which certificate the webhook is known.
    for (const [engine, space] of [
      ['envoy', 'shop'],
      ['embedded', 'shop'],
      ['envoy', 'payments'],
    ] as const) {
      const made = () => node.apply(JSON.stringify(pod(engine)), '-n', space).catch((error: unknown) => String(error));
      await node.until(`${space}/${engine} is made`, made, (said) => /created|unchanged|configured/.test(said));
    }
    for (const engine of ENGINES) await node.ready(`client-${engine}`, 'shop');
    await node.ready('client-envoy', 'payments');
  },
  { timeout: 300_000 },
);
after(
  async () => {
    if (skip) return;
    try {
      await node.delete('namespace', 'shop', 'payments', 'people');
      await node.delete('clusterrole', 'console-looker');
    } finally {
      await node.stop();
    }
  },
  { timeout: 120_000 },
);

/** A call to a host that nothing declares. */
function refusedCall(space: string, engine: string, host: string): Promise<string> {
  const request = `GET /x?token=swordfish HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  return node.speak(`client-${engine}`, ['nc', ADDRESS, '80'], request, /HTTP\/1.1 502/, space);
}

/** Chromium within the node's network, where the port is forwarded. */
function chromiumThere(): string {
  const path = join(node.folder, 'chromium');
  writeFileSync(path, `#!/bin/sh\nexec nsenter --net=${NETWORK} ${findTool('chromium')!} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

async function forwarded(): Promise<void> {
  await new Promise<void>((resolve) => {
    node.follow(['-n', 'istio-system', 'port-forward', 'deploy/sallyport-controller', '15016'], (line) => {
      if (line.includes('Forwarding from')) resolve();
    });
  });
}

/** A page of somebody who has entered. */
async function pageOf(t: TestContext, name: keyof typeof TEAMS): Promise<Page> {
  const browser = await chromium.launch({ executablePath: chromiumThere(), args: ['--no-sandbox', '--disable-gpu'] });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto('http://localhost:15016');
  await page.getByLabel('Bearer token').fill((await node.kubectl(['create', 'token', name, '-n', 'people'])).trim());
  await page.getByRole('button', { name: 'Enter' }).click();
  await page.getByText(`people/${name}`).waitFor();
  await page.goto('http://localhost:15016/#/refused?since=1m');
  return page;
}

test('a pod’s refused call is on the Refused page with its reason and what would allow it, for the people of its namespace alone', {
  skip,
  timeout: 300_000,
}, async (t) => {
  await forwarded();
  // Before anybody looks.
  for (const engine of ENGINES) await refusedCall('shop', engine, `${engine}.before.example`);
  const alice = await pageOf(t, 'alice');
  for (const engine of ENGINES) await alice.locator('.list-row', { hasText: `${engine}.before.example:80` }).waitFor();
  await alice
    .getByText('Calls of 2 of the 2 proxies that are connected to the 2 controllers that are heard, of those that you may see.')
    .waitFor();
  // While somebody does.
  for (const engine of ENGINES) {
    await refusedCall('shop', engine, `${engine}.since.example`);
    const row = alice.locator('.list-row', { hasText: `${engine}.since.example:80` });
    await row.waitFor();
    assert.match((await row.textContent())!, new RegExp(`refused.*shop/client-${engine}.*not declared for this caller`));
    await row.click();
    const mend = alice.getByRole('region', { name: 'What would allow it' });
    await mend.getByText(`- ${engine}.since.example`).waitFor();
    assert.match((await mend.textContent())!, /kind: ServiceEntry/);
  }
  assert.ok(!(await alice.content()).includes('swordfish'));
  const bob = await pageOf(t, 'bob');
  await refusedCall('payments', 'envoy', 'bank.example');
  await bob.locator('.list-row', { hasText: 'bank.example:80' }).waitFor();
  await bob.getByText('Calls of 1 of the 1 proxy').waitFor();
  await bob.goto('http://localhost:15016/#/flows');
  await bob.locator('.list-row', { hasText: 'bank.example:80' }).waitFor();
  const seen = (await bob.locator('body').textContent())!;
  for (const word of ['shop', 'before.example', 'since.example']) assert.ok(!seen.includes(word), word);
  assert.ok(!(await alice.locator('body').textContent())!.includes('bank.example'));
});
