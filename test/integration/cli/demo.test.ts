import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Program } from './program.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples');
const skip = process.platform === 'linux' ? false : 'needs Linux: all of 127/8 local';

test('every example does what it states, and one that does not is told', { skip }, async (t) => {
  const good = new Program(['demo']);
  assert.equal(await good.exit, 0, good.output + good.errors);
  assert.equal(good.errors, '');
  assert.match(good.output, /sidecar → istio-egressgateway → www\.example\.com/);

  // The stand-ins have fixed ports, so one after the other.
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-examples-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(EXAMPLES, folder, { recursive: true });
  const file = join(folder, 'egress-http.calls.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('status: 502', 'status: 200'));
  const bad = new Program(['demo', '--examples', folder, 'egress-http']);
  assert.equal(await bad.exit, 1);
  assert.match(bad.output, /NOT AS STATED: the example states status 200, it was 502/);
});
