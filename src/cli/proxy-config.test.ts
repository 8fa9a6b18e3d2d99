import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { defaultMeshConfig } from '../api/mesh-config-document.ts';
import { snapshotFromText } from '../config/memory.ts';
import { askProxy, readDump, translatedDump } from '../inputs/dump.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { tableText } from '../report/table.ts';
import { tableOf } from '../xds/config-dump/tables.ts';
import { proxyConfigCommand } from './proxy-config.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-dump-'));
after(() => rmSync(folder, { recursive: true }));

const NOW = Date.now();
const DUMP = {
  configs: [
    { dynamic_active_secrets: [{ name: 'default', secret: { tls_certificate: { certificate_chain: { inline_bytes: 'bm9uZQ==' } } } }] },
  ],
};

const WWW = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: www, namespace: default}
spec:
  hosts: [www.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.7}]
`;

test('a table aligns its columns; one without rows says so', () => {
  assert.equal(
    tableText(tableOf('secrets', { dump: DUMP }, {}, NOW)),
    'RESOURCE NAME     TYPE           STATUS     VALID CERT     SERIAL NUMBER     NOT AFTER     NOT BEFORE\ndefault           Cert Chain     ACTIVE     false\n',
  );
  assert.equal(tableText(tableOf('secrets', { dump: DUMP }, { name: 'none' }, NOW)), 'No active or warming secrets found.\n');
});

test('dumps from files: as written by a proxy, and as istioctl writes them', async () => {
  const file = join(folder, 'dump.json');
  writeFileSync(
    file,
    JSON.stringify({
      configs: [
        {
          dynamicRouteConfigs: [
            {
              routeConfig: { name: 'r', virtualHosts: [{ name: 'h', domains: ['*'], routes: [{ match: { pathSeparatedPrefix: '/p' } }] }] },
            },
          ],
        },
      ],
    }),
  );
  const dump = await readDump(file);
  assert.deepEqual(tableOf('routes', dump, {}, NOW).rows, [['r', 'h', '*', '/p', '']]);
  writeFileSync(file, '{"cluster_statuses": []}');
  assert.deepEqual((await readDump(file)).states, { cluster_statuses: [] });
  for (const text of ['no json', '[]', '{}']) {
    writeFileSync(file, text);
    await assert.rejects(readDump(file), { code: 'no-config-dump' }, text);
  }
});

test('what is printed as JSON is read again, and says the same', async (t) => {
  const path = join(folder, 'www.yaml');
  writeFileSync(path, WWW);
  const files = simulateFiles(snapshotFromText(WWW), defaultMeshConfig());
  const printed = async (...words: string[]) => {
    let text = '';
    const write = t.mock.method(process.stdout, 'write', (piece: string | Uint8Array) => {
      // The test runner reports in bytes.
      if (typeof piece === 'string') text += piece;
      return true;
    });
    await proxyConfigCommand().parseAsync(words, { from: 'user' });
    write.mock.restore();
    return text;
  };
  const file = join(folder, 'printed.json');
  for (const kind of ['listeners', 'routes', 'clusters', 'endpoints'] as const) {
    const wanted = tableOf(kind, await translatedDump(files, undefined), {}, NOW);
    for (const command of [kind, 'all']) {
      writeFileSync(file, await printed(command, path, '-o', 'json'));
      assert.deepEqual(tableOf(kind, await readDump(file), {}, NOW).rows, wanted.rows, `${command} for ${kind}`);
    }
  }
});

test('dumps from a running proxy', async () => {
  const asked: string[] = [];
  const server = createServer((request, answer) => {
    asked.push(request.url!);
    if (asked.length > 2) answer.writeHead(503);
    answer.end('{"configs":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await askProxy({ address: '127.0.0.1', port });
  assert.deepEqual(asked.sort(), ['/clusters?format=json', '/config_dump?include_eds']);
  await assert.rejects(askProxy({ address: '127.0.0.1', port }), { code: 'admin-unreachable', message: /answered 503/ });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(askProxy({ address: '127.0.0.1', port }), { code: 'admin-unreachable', message: /--admin/ });
});

test('dumps of what files would give a proxy', async () => {
  const files = simulateFiles(snapshotFromText(WWW), defaultMeshConfig());
  const dump = await translatedDump(files, 'default/local');
  assert.deepEqual(tableOf('endpoints', dump, { fqdn: 'www.example.com' }, NOW).rows, [
    ['192.0.2.7:80', 'HEALTHY', 'OK', 'outbound|80||www.example.com'],
  ]);
  await assert.rejects(translatedDump(files, 'default/none'), {
    code: 'no-such-workload',
    message: /default\/local/,
  });
});
