import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowOption } from '../../lib/allow-option.ts';
import type { ObservedCall } from '../../lib/contained.ts';
import { Calls } from './calls.ts';
import { reportText, summaryLines } from './report.ts';

const CLIENT = { ip: '192.0.0.8', port: 40_000 };

function call(verdict: ObservedCall['verdict'], host: string, port: number): ObservedCall {
  return { verdict, host, port, client: CLIENT, reason: verdict === 'refused' ? 'not allowed' : '', bytesSent: 10, bytesReceived: 20 };
}

function watched() {
  const said: string[] = [];
  let now = 0;
  const calls = new Calls({
    say: (line) => said.push(line),
    callerOf: ({ port }) => (port === CLIENT.port ? { pid: 4242, command: 'npm' } : undefined),
    allowing: allowOption,
    date: () => `t${now++}`,
  });
  return { said, calls };
}

test('each host that is refused is said once, with who called and what allows it', () => {
  const { said, calls } = watched();
  for (const one of [
    call('refused', 'registry.example.com', 443),
    call('refused', 'registry.example.com', 443),
    call('refused', 'registry.example.com', 80),
    call('allowed', 'fine.example', 443),
    call('failed', 'down.example', 443),
    call('unresolved', 'x.tunnel.example', 0),
    call('refused', '10.0.0.5', 6379),
    { ...call('refused', '2001:db8::1', 443), client: { ip: '::1', port: 1 } },
  ])
    calls.add(one);
  assert.deepEqual(said, [
    'refused registry.example.com:443 (npm, pid 4242): not allowed; to allow: --allow registry.example.com',
    'refused to look up x.tunnel.example (npm, pid 4242): not allowed; to allow: --allow x.tunnel.example',
    'refused 10.0.0.5:6379 (npm, pid 4242): not allowed; to allow: --allow tcp://10.0.0.5:6379',
    'refused [2001:db8::1]:443: not allowed; to allow: --allow tcp://[2001:db8::1]:443',
  ]);
});

test('a call that its host’s port does not take is told as that, and nothing is said to allow it', () => {
  const said: string[] = [];
  const allowedAs = ({ port }: { readonly port: number }) => (port === 443 ? 'it is allowed in TLS alone' : undefined);
  const calls = new Calls({ say: (line) => said.push(line), callerOf: () => undefined, allowing: allowOption, allowedAs, date: () => '' });
  calls.add(call('refused', 'a.example', 443));
  calls.add({ ...call('refused', 'a.example', 443), reason: 'the proxy answers 400 itself: http1.codec_error' });
  calls.add(call('undeclared', 'b.example', 443));
  calls.add(call('undeclared', 'b.example', 80));
  assert.deepEqual(said, ['refused a.example:443: it is allowed in TLS alone', 'would refuse b.example:443: it is allowed in TLS alone']);
  const account = { words: [], code: 0, called: calls.all, others: 0 };
  assert.deepEqual(
    JSON.parse(reportText(account, 'json')).calls.map(({ toAllow }: { toAllow?: string }) => toAllow),
    [undefined, undefined, undefined, '--allow b.example'],
  );
  assert.deepEqual(summaryLines(account), [
    'what was called:',
    '  a.example:443  refused           1×  it is allowed in TLS alone',
    '  a.example:443  refused           1×  the proxy answers 400 itself: http1.codec_error',
    '  b.example:443  would be refused  1×  it is allowed in TLS alone',
    '  b.example:80   would be refused  1×  10 B sent, 20 B received',
  ]);
});

test('the account: counts, bytes, first and last; what was refused comes first', () => {
  const { calls } = watched();
  calls.add(call('allowed', 'fine.example', 443));
  calls.add(call('refused', 'evil|.example', 443));
  calls.add(call('allowed', 'fine.example', 443));
  const account = { words: ['npm', 'ci'], code: 1, called: calls.all, others: calls.others };
  assert.deepEqual(summaryLines(account), [
    'what was called:',
    '  evil|.example:443  refused  1×',
    '  fine.example:443   allowed  2×  20 B sent, 40 B received',
  ]);
  const json = JSON.parse(reportText(account, 'json'));
  assert.deepEqual(
    json.calls.map(({ host, count, first, last, toAllow }: Record<string, unknown>) => [host, count, first, last, toAllow]),
    [
      ['evil|.example', 1, 't1', 't1', '--allow evil|.example'],
      ['fine.example', 2, 't0', 't2', undefined],
    ],
  );
  const markdown = reportText(account, 'markdown');
  assert.match(markdown, /exit code 1/);
  assert.match(markdown, /\| evil\\\|\.example:443 \| refused \| npm \(4242\) \| 1 \|/);
  assert.deepEqual(summaryLines({ ...account, called: [] }), []);
});

test('a command that makes up names fills neither memory nor terminal', () => {
  const { said, calls } = watched();
  for (let i = 0; i < 5000; i++) calls.add(call('unresolved', `${i}.tunnel.example`, 0));
  assert.equal(calls.all.length, 1000);
  assert.equal(calls.others, 4000);
  assert.ok(said.length <= 21, `${said.length} lines`);
  assert.match(said.at(-1)!, /more hosts.*--report/);
});

test('whose calls they are is looked up of the first hundred hosts, as each look holds the calls up', () => {
  let looks = 0;
  const calls = new Calls({
    say: () => undefined,
    callerOf: () => {
      looks++;
      return { pid: 1, command: 'x' };
    },
    allowing: allowOption,
    date: () => '',
  });
  for (let i = 0; i < 300; i++) calls.add(call('refused', `h${i}.example`, 80));
  assert.equal(looks, 100);
  assert.deepEqual([calls.all[99]?.by?.pid, calls.all[100]?.by], [1, undefined]);
});

test('a name cannot say a line of its own', () => {
  const { said, calls } = watched();
  calls.add(call('refused', 'a\nsallyport: nothing was called\u001b[2J', 80));
  for (const line of [...said, ...summaryLines({ called: calls.all, others: 0 })]) assert.doesNotMatch(line, /\p{Cc}/u);
  assert.match(said[0] ?? '', /^refused \[?a\\u000asallyport/);
});
