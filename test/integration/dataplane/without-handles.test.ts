/** The data plane on a Node whose stream handles are not as expected: it works over sockets, and tests of its traffic say the same. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../../..');
const INTERNALS = pathToFileURL(join(ROOT, 'src/proxy/net/internals.ts')).href;

/** Node's internals are gone, as after an upgrade that takes them away; the probe must have seen it. */
const GONE = `data:text/javascript,${encodeURIComponent(`
  process.binding = () => { throw new Error('No such binding'); };
  const { streamInternals } = await import(${JSON.stringify(INTERNALS)});
  if (streamInternals() !== undefined) throw new Error('the handles are still used');
`)}`;

async function node(args: readonly string[]): Promise<string> {
  // The runner of this test would take its child's for parts of its own.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env });
  return stdout + stderr;
}

for (const file of [
  'src/proxy/http/h1.test.ts',
  'src/proxy/http/h2.test.ts',
  'src/proxy/http/h2/session.test.ts',
  'test/integration/dataplane/tcp.test.ts',
]) {
  test(`without stream handles: ${file}`, async () => {
    assert.match(await node(['--import', GONE, '--test', '--test-reporter=tap', file]), /^# pass [1-9]/m);
  });
}

test('nobody who asks Node for its pending deprecations hears of ours', async () => {
  const code = `const { streamInternals } = await import(${JSON.stringify(INTERNALS)}); console.log(streamInternals() !== undefined, process.noDeprecation);`;
  assert.equal(await node(['--pending-deprecation', '--input-type=module', '--eval', code]), 'true undefined\n');
});
