import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotFromText } from '../config/memory.ts';
import type { Report } from './report.ts';
import { startStatusServer } from './status-server.ts';

const report = { snapshot: 7, findings: [], proxies: [], mesh: { snapshot: snapshotFromText('') } } as unknown as Report;

test('not ready before there is a configuration, then ready, with what is in force', async (t) => {
  let current: Report | undefined;
  const reload = async () => ({ ...report, snapshot: 8 });
  const server = await startStatusServer({ address: '127.0.0.1', port: 0, report: () => current, reload });
  t.after(() => server.close());
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  assert.equal((await ask('/healthz/ready')).status, 503);
  assert.equal((await ask('/status')).status, 503);
  current = report;
  assert.equal((await ask('/healthz/ready')).status, 200);
  assert.deepEqual(await (await ask('/status')).json(), { snapshot: 7, findings: [], proxies: [] });
  assert.equal(((await (await ask('/reload', 'POST')).json()) as { snapshot: number }).snapshot, 8);
  assert.equal((await ask('/reload')).status, 404);
});

test('findings are counted for Prometheus, by code, level and namespace', async (t) => {
  const finding = (code: string, namespace: string) => ({
    code,
    level: 'Warning',
    message: '',
    origin: { kind: 'Gateway', namespace, name: 'x' },
  });
  const findings = [finding('IST0101', 'a'), finding('IST0101', 'a'), finding('SP1022', 'b"')];
  const server = await startStatusServer({
    address: '127.0.0.1',
    port: 0,
    report: () => ({ ...report, findings }) as unknown as Report,
    reload: async () => report,
  });
  t.after(() => server.close());
  const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
  assert.match(answer.headers.get('content-type') ?? '', /^text\/plain; version=0.0.4/);
  const lines = (await answer.text()).split('\n').filter((line) => !line.startsWith('#'));
  assert.deepEqual(lines, [
    'sallyport_findings{code="IST0101",level="Warning",namespace="a"} 2',
    'sallyport_findings{code="SP1022",level="Warning",namespace="b\\""} 1',
    'sallyport_proxies 0',
    'sallyport_proxies_refusing 0',
    '',
  ]);
});

test('a reload that fails says why', async (t) => {
  const reload = () => Promise.reject(new Error('the folder is gone'));
  const server = await startStatusServer({ address: '127.0.0.1', port: 0, report: () => report, reload });
  t.after(() => server.close());
  const answer = await fetch(`http://127.0.0.1:${server.port}/reload`, { method: 'POST' });
  assert.equal(answer.status, 500);
  assert.match(await answer.text(), /the folder is gone/);
});

test('a port that is in use is an error that names it', async (t) => {
  const options = { address: '127.0.0.1', report: () => report, reload: async () => report };
  const server = await startStatusServer({ ...options, port: 0 });
  t.after(() => server.close());
  await assert.rejects(
    startStatusServer({ ...options, port: server.port }),
    new RegExp(`127\\.0\\.0\\.1:${server.port} is already in use by process ${process.pid} .*--status-address`),
  );
});

test('a page of another site can neither read nor reload', async (t) => {
  let reloads = 0;
  const reload = async () => {
    reloads++;
    return report;
  };
  const server = await startStatusServer({ address: '127.0.0.1', port: 0, report: () => report, reload });
  t.after(() => server.close());
  const base = `http://127.0.0.1:${server.port}`;
  assert.equal((await fetch(`${base}/reload`, { method: 'POST', headers: { origin: 'http://evil.example' } })).status, 403);
  assert.equal((await fetch(`${base}/status`, { headers: { 'sec-fetch-site': 'cross-site' } })).status, 403);
  assert.equal(reloads, 0);
});
