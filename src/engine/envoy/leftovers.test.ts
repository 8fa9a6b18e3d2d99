import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { claimFolder, clearLeftovers } from './leftovers.ts';

function parent(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-leftovers-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** A process whose arguments name a file. */
function running(t: TestContext, file: string): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1e6)', '--', '-c', file], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function goneProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid!;
}

function abandoned(path: string, name: string, owner: object): string {
  const folder = join(path, name);
  mkdirSync(join(folder, 'sds'), { recursive: true });
  writeFileSync(join(folder, 'sds/key.json'), 'secret');
  writeFileSync(join(folder, 'owner'), JSON.stringify(owner));
  return folder;
}

test('the folder of a process that is gone is removed, and what runs from it is ended', async (t) => {
  const path = parent(t);
  const folder = abandoned(path, 'sallyport-envoy-a', { pid: await goneProcess(), started: '1' });
  const envoy = running(t, join(folder, 'bootstrap.json'));
  const other = running(t, join(path, 'sallyport-envoy-ab/bootstrap.json'));
  await Promise.all([once(envoy, 'spawn'), once(other, 'spawn')]);
  const exited = once(envoy, 'exit');
  assert.deepEqual(clearLeftovers(path), [folder]);
  assert.deepEqual(await exited, [null, 'SIGKILL']);
  assert.equal(other.exitCode, null);
  assert.deepEqual(readdirSync(path), []);
});

test('a number that another process has by now is no owner', { skip: process.platform !== 'linux' && 'needs /proc' }, (t) => {
  const path = parent(t);
  const folder = abandoned(path, 'sallyport-envoy-a', { pid: process.pid, started: '1' });
  assert.deepEqual(clearLeftovers(path), [folder]);
});

test('folders in use, without an owner, with an unreadable one and of other names stay', async (t) => {
  const path = parent(t);
  claimFolder(path);
  mkdirSync(join(path, 'sallyport-envoy-new'));
  writeFileSync(join(path, 'sallyport-envoy-file'), '');
  abandoned(path, 'sallyport-other', { pid: await goneProcess(), started: '1' });
  const half = abandoned(path, 'sallyport-envoy-half', {});
  writeFileSync(join(half, 'owner'), '{"pid":');
  const before = readdirSync(path);
  assert.deepEqual(clearLeftovers(path), []);
  assert.deepEqual(readdirSync(path), before);
});
