import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const MANY = 200;

test('a port is given once, by whichever process', {
  skip: process.platform !== 'linux' && 'only Linux has sockets without a file',
}, async () => {
  const ask = `const { freePort } = await import(${JSON.stringify(import.meta.resolve('./free-port.ts'))});
    const ports = [];
    for (let i = 0; i < ${MANY}; i++) ports.push(await freePort());
    console.log(JSON.stringify(ports));`;
  const mine: number[] = [];
  for (let i = 0; i < MANY; i++) mine.push(await freePort());
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', ask]);
  const all = [...mine, ...(JSON.parse(stdout) as number[])];
  assert.equal(new Set(all).size, 2 * MANY);
  assert.ok(
    all.every((port) => port >= 20_000 && port < 30_000),
    'others are given to outgoing connections, or to nodes of Kubernetes',
  );
});
