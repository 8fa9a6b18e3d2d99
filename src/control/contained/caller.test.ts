import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { callerOf, localCallerOf } from './caller.ts';

const CLIENT = { ip: '10.0.0.2', port: 0x1234 };
const HEX = endianness() === 'LE' ? '0200000A:1234' : '0A000002:1234';

test('of several runs with the same addresses, whoever has the socket in the namespace that this one started', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'sallyport-proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  const add = (pid: number, parent: number, namespace: string, name: string, socket?: number) => {
    const folder = join(proc, String(pid));
    for (const part of ['ns', 'fd', 'net']) mkdirSync(join(folder, part), { recursive: true });
    symlinkSync(`net:[${namespace}]`, join(folder, 'ns/net'));
    writeFileSync(join(folder, 'stat'), `${pid} (a ) (b) S ${parent} 1 1`);
    writeFileSync(join(folder, 'cmdline'), `/usr/bin/${name}\0-x`);
    const inode = namespace === 'mine' ? 55 : 66;
    writeFileSync(join(folder, 'net/tcp'), `  sl local\n   0: ${HEX} 00000000:0000 01 0 0 0 0 0 ${inode} 1\n`);
    if (socket !== undefined) symlinkSync(`socket:[${socket}]`, join(folder, 'fd/3'));
  };
  add(100, 1, 'host', 'sallyport');
  add(101, 100, 'mine', 'helper');
  add(102, 101, 'mine', 'sh');
  add(90, 1, 'host', 'sallyport');
  add(91, 90, 'theirs', 'wget', 66);
  const machine = (parent: number) => ({ proc, parent });
  assert.equal(callerOf(CLIENT, machine(100)), undefined, 'nobody of this run has it');
  // A daemon: its parent is no more.
  add(103, 1, 'mine', 'curl', 55);
  assert.deepEqual(callerOf(CLIENT, machine(100)), { pid: 103, command: 'curl' });
  assert.deepEqual(callerOf(CLIENT, machine(90)), { pid: 91, command: 'wget' });
  assert.equal(callerOf({ ...CLIENT, port: 1 }, machine(100)), undefined);
});

test('a program that gives itself a name says nothing in ours: the name is one line, and short', (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'sallyport-proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  for (const [pid, parent, namespace] of [
    [100, 1, 'host'],
    [101, 100, 'mine'],
  ] as const) {
    const folder = join(proc, String(pid));
    for (const part of ['ns', 'fd', 'net']) mkdirSync(join(folder, part), { recursive: true });
    symlinkSync(`net:[${namespace}]`, join(folder, 'ns/net'));
    writeFileSync(join(folder, 'stat'), `${pid} (x) S ${parent} 1 1`);
    writeFileSync(join(folder, 'net/tcp'), `  sl local\n   0: ${HEX} 00000000:0000 01 0 0 0 0 0 55 1\n`);
    symlinkSync('socket:[55]', join(folder, 'fd/3'));
  }
  const named = (name: string) => {
    writeFileSync(join(proc, '101/cmdline'), `${name}\0-x`);
    return callerOf(CLIENT, { proc, parent: 100 })?.command;
  };
  assert.equal(named('x\nsallyport: nothing was called\u001b[2J'), 'x\\u000asallyport: nothing was called\\u001b[2J');
  assert.equal(named('x'.repeat(100_000)), `${'x'.repeat(64)}…`);
});

test('whoever of this machine calls this process, over IPv4 or IPv6', {
  skip: process.platform !== 'linux' && 'it needs /proc',
}, async (t) => {
  for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) {
    const server = createServer();
    const failed = once(server.listen(0, host), 'listening').then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
    if ((await failed) !== undefined) continue;
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, ['-e', `require('net').connect(${port}, '${host}')`], { stdio: 'ignore' });
    t.after(() => child.kill());
    const [socket] = (await once(server, 'connection')) as [Socket];
    const client = { ip: socket.remoteAddress!.replace('::ffff:', ''), port: socket.remotePort! };
    assert.deepEqual(localCallerOf(client), { pid: child.pid, command: 'node' }, host);
    assert.equal(localCallerOf({ ...client, ip: '127.0.0.9' }), undefined, 'the same port of another address');
    socket.destroy();
  }
});
