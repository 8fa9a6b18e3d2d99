/** `sallyport grant`, and what a running `up` says of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { freePort, PROGRAM, Program, start } from './program.ts';

async function place(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-grant-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'grants.yaml');
  const nobody = await freePort();
  const grant = async (args: readonly string[], port = nobody) => {
    const program = new Program(['grant', ...args, '--file', file, '--status-address', `127.0.0.1:${port}`], [process.execPath, PROGRAM]);
    const code = await program.exit;
    return { code, output: program.output, errors: program.errors };
  };
  return Object.assign(grant, { folder, file });
}

test('a grant is listed until it is revoked, also while nothing runs', { timeout: 60_000 }, async (t) => {
  const grant = await place(t);
  const made = await grant(['api.example.com:443', '--for', '1h', '--reason', 'release-12']);
  assert.equal(made.code, 0);
  assert.match(
    made.errors,
    /granted api\.example\.com:443 to namespace default until .*: grant-[0-9a-f]{8}\n.*no sallyport up answers at 127\.0\.0\.1:\d+/,
  );
  const [id] = /grant-[0-9a-f]{8}/.exec(made.errors)!;
  assert.match((await grant(['--list'])).output, new RegExp(`^${id}  granted  api\\.example\\.com:443  default  until .*: release-12\n$`));
  assert.match((await grant(['--list'])).errors, /no sallyport up answers at .*: whether they are in force is not known/);
  assert.equal((await grant(['--revoke', id])).code, 0);
  assert.equal((await grant(['--list'])).output, '');
});

test('what up says against a grant is told, with exit code 1; what answers nonsense is taken for nobody', {
  timeout: 60_000,
}, async (t) => {
  const grant = await place(t);
  let text = '';
  const asked: string[] = [];
  const server = createServer((request, answer) => {
    asked.push(`${request.method} ${request.url}`);
    answer.end(text);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const request = (reason: string) => grant(['api.example.com:443', '--for', '1h', '--reason', reason], port);
  text = 'nonsense';
  assert.match((await request('one')).errors, /no sallyport up answers/);
  const id = /grant-[0-9a-f]{8}/.exec((await grant(['--list'])).output)![0];
  text = JSON.stringify({ findings: [{ level: 'Error', origin: `EgressPolicy default/${id}`, message: 'something else is said there' }] });
  const revoked = await grant(['--revoke', id], port);
  assert.deepEqual([revoked.code, /it is not in force: something else is said there/.test(revoked.errors)], [1, true]);
  assert.deepEqual(asked, ['POST /reload', 'POST /reload']);
});

test('the list says of each grant what the up that follows it makes of it, and of an up that does not that nobody knows', {
  timeout: 60_000,
  skip: process.platform !== 'linux' && 'needs all of 127.0.0.0/8 on the loopback interface, as Linux has it',
}, async (t) => {
  const grant = await place(t);
  const policy = join(grant.folder, 'policy.yaml');
  writeFileSync(
    policy,
    JSON.stringify({
      apiVersion: 'sallyport.dev/v1alpha1',
      kind: 'EgressPolicy',
      metadata: { name: 'db', namespace: 'default' },
      spec: { to: [{ hosts: ['db.example.com'], ports: [5432], protocol: 'TLS' }], reason: 'x', owner: 'y' },
    }),
  );
  const up = async (...more: string[]) => {
    const status = await freePort();
    const none = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--proxy-address', '0', '--concurrency', '1'];
    await start(t, ['up', policy, ...none, '--status-address', `127.0.0.1:${status}`, '--router-address', '127.0.107.1', ...more]).says(
      /ready/,
    );
    return status;
  };
  const [follows, doesNot] = [await up('--grants', grant.file), await up()];
  const granted = async (host: string) => {
    const { code, errors } = await grant([host, '--for', '1h', '--reason', 'release'], follows);
    return { code, id: /grant-[0-9a-f]{8}/.exec(errors)![0] };
  };
  const [fine, odd] = [await granted('api.example.com:443'), await granted('tcp://db.example.com:5432')];
  assert.deepEqual([fine.code, odd.code], [0, 1]);
  const { output } = await grant(['--list'], follows);
  assert.match(output, new RegExp(`^${fine.id}  in force  api\\.example\\.com:443  .*: release$`, 'm'));
  assert.match(output, new RegExp(`^${odd.id}  not in force  db\\.example\\.com:5432  .*: release; it is not in force: .+$`, 'm'));
  const unknown = await grant(['--list', '--output', 'json'], doesNot);
  assert.deepEqual(
    JSON.parse(unknown.output).map(({ state }: { readonly state: string }) => state),
    ['granted', 'granted'],
  );
  assert.match(unknown.errors, /the sallyport up at .* does not follow this file \(--grants\)/);
});

test('a grant has a host, an end and a reason', { timeout: 60_000 }, async (t) => {
  const grant = await place(t);
  for (const [args, why] of [
    [[], /name a host to allow, or say --list, or --revoke ID/],
    [['a.example.com'], /a grant needs an end and a reason/],
    [['a.example.com', '--for', '1000h', '--reason', 'x'], /a grant is for 1s to 720h/],
  ] as const) {
    const { code, errors } = await grant(args);
    assert.equal(code, 2);
    assert.match(errors, why);
  }
});
