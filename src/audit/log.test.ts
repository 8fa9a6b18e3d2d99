import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { segmentPath } from './chain-files.ts';
import { AuditLog } from './log.ts';
import { callOf, keyIn, tempFolder, writerIn } from './testing.ts';

test('a clock that is set back keeps neither signatures nor the next attempt waiting', { timeout: 60_000 }, async (t) => {
  const folder = join(tempFolder(t), 'audit');
  const writer = writerIn(folder, keyIn(tempFolder(t)));
  const heard: (() => void)[] = [];
  const next = () => new Promise<void>((resolve) => void heard.push(resolve));
  const hear = () => {
    for (const resolve of heard.splice(0)) resolve();
  };
  let now = 0;
  let date = Date.UTC(2026, 0, 2);
  const log = new AuditLog(writer, {
    onFailure: 'refuse',
    signEveryMs: 60_000,
    date: () => date,
    now: () => now,
    failing: hear,
    changed: hear,
  });
  const add = async (host: string) => {
    const done = next();
    log.add([callOf(host)]);
    await done;
  };
  await add('a.example.com');
  date -= 3_600_000;
  now += 60_000;
  await add('b.example.com');
  assert.equal(writer.unsigned, 0);

  rmSync(segmentPath(folder, 1));
  await add('c.example.com');
  assert.match(log.state.failing ?? '', /was removed/);
  date -= 3_600_000;
  now += 1000;
  await add('d.example.com');
  assert.equal(log.state.failing, undefined);
  assert.equal(await log.close(), undefined);
});
