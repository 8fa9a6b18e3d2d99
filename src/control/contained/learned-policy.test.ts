import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Called } from './calls.ts';
import { learnedPolicy } from './learned-policy.ts';
import { readPolicies } from './policy.ts';
import { refusals } from './report.ts';

const called = (host: string, port: number, verdict: Called['verdict'], command?: string): Called => ({
  host,
  port,
  verdict,
  reason: '',
  by: command === undefined ? undefined : { pid: 1, command },
  count: 1,
  bytesSent: 0,
  bytesReceived: 0,
  first: '',
  last: '',
});

test('what was reached is allowed by the list, and the rest is named in it', (t) => {
  const text = learnedPolicy(
    [
      called('www.example.com', 443, 'undeclared', 'npm'),
      called('www.example.com', 80, 'allowed', 'curl'),
      called('10.0.0.5', 6379, 'undeclared'),
      called('2001:db8::1', 443, 'undeclared'),
      called('gone.example.com', 443, 'failed'),
      called('no host\nallow: []', 443, 'undeclared'),
      called('asked.example.com', 0, 'unresolved'),
    ],
    ['npm', 'ci\n# x'],
  )!;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'policy.yaml');
  writeFileSync(file, text);
  const { allowed } = readPolicies([file], Date.parse('2026-01-01'));
  assert.deepEqual(
    allowed.map(({ host, ports, why }) => [host, ports.map(({ port, protocol }) => `${port}/${protocol}`).join(' '), why]),
    [
      ['10.0.0.5', '6379/TCP', undefined],
      ['2001:db8::1', '443/TCP', undefined],
      ['www.example.com', '80/HTTP 443/TLS', 'called by curl, npm'],
    ],
  );
  assert.deepEqual(
    text.split('\n').filter((line) => line.startsWith('#')),
    [
      '# What "npm ci # x" reached. Look it through, and keep what is meant: sallyport run --policy THIS -- CMD',
      '# Left out, as it was not reached: gone.example.com:443',
      '# Left out, as it was not reached: [no host allow: []]:443',
    ],
  );
  assert.equal(learnedPolicy([called('gone.example.com', 443, 'failed')], ['x']), undefined);
});

test('what --fail-on is about: calls that were refused or would be, and calls that nobody kept apart', () => {
  const account = (calls: Called[], others = 0) => ({ words: [], code: 0, called: calls, others });
  assert.equal(refusals(account([called('a.example', 443, 'allowed'), called('b.example', 443, 'failed')])), undefined);
  assert.match(
    refusals(account([called('b.example', 443, 'undeclared'), called('a.example', 0, 'unresolved')]))!,
    /^calls to a\.example and 1 more/,
  );
  assert.match(refusals(account([called('a.example', 443, 'refused')]))!, /^calls to a\.example:443 were/);
  assert.match(refusals(account([], 3))!, /nobody knows/);
});
