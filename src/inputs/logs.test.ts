import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readLogs } from './logs.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-logs-'));
after(() => rmSync(folder, { recursive: true }));
function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}
const record = (host: string) => `{"method":"GET","authority":"${host}","upstream_host":"198.51.100.7:80"}`;
async function read(...paths: string[]) {
  const hosts: string[] = [];
  const reading = await readLogs(paths, ({ authority }) => hosts.push(authority));
  return { hosts, ...reading };
}

test('every record is handed on, whatever stands between them; what cannot be read is told with file and line', async () => {
  const path = file('a.log', [record('a'), 'Envoy started', '', '{"broken":', record('b'), `{"authority":"é`, record('c')].join('\r\n'));
  const { hosts, damaged, foreign, unread, lines } = await read(path, file('b.log', `${record('d')}\n`));
  assert.deepEqual(hosts, ['a', 'b', 'c', 'd']);
  assert.deepEqual([lines, damaged.count, foreign.count, unread], [8, 2, 1, []]);
  assert.deepEqual(
    damaged.first.map(({ file: name, line }) => `${name}:${line}`),
    [`${path}:4`, `${path}:6`],
  );
});

test('gzipped logs; one that is cut off gives what it has, and the next is read', async () => {
  // Too various to fit into one block.
  const hosts = Array.from({ length: 20_000 }, (_, i) => `h${(i * 7919) % 100_003}.example.com`);
  const packed = gzipSync(hosts.map((host) => `${record(host)}\n`).join(''));
  assert.deepEqual((await read(file('a.log.gz', packed))).hosts, hosts);
  const cut = file('cut.gz', packed.subarray(0, packed.length - 5000));
  const { hosts: found, unread } = await read(cut, file('after.log', record('after')));
  assert.ok(found.length > 1000 && found.length < hosts.length, String(found.length));
  assert.equal(found.at(-1), 'after');
  assert.equal(unread.length, 1);
  assert.match(unread[0]!, /cut\.gz: after line \d+ it cannot be read further: unexpected end of file/);
});

test('a line without an end is given up, and the next one is read', async () => {
  const path = file('long.log', `${'x'.repeat(3_000_000)}\n${record('a')}\n${'{'.repeat(2_000_000)}`);
  const { hosts, damaged } = await read(path);
  assert.deepEqual(hosts, ['a']);
  assert.deepEqual(
    damaged.first.map(({ line }) => line),
    [1, 3],
  );
});

test('what is no log is said before anything is read', async () => {
  await assert.rejects(read(file('x.log', record('a')), join(folder, 'missing.log')), { code: 'path-not-found' });
  await assert.rejects(read(folder), { code: 'usage', message: /is a folder/ });
});
