import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isQuiet } from './quiet.ts';

/** As Linux 6.12 writes them. */
const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const LISTENS =
  '   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0000000000000000 100 0 0 10 0\n';
const WAITS = LISTENS.replace('00000000:00000000', '00000000:00000001');
const OPEN = LISTENS.replace(' 0A ', ' 01 ');
const ENDED = LISTENS.replace(' 0A ', ' 06 ');
const UDP_HEAD = '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n';
const BOUND = '  142: 0100007F:3ACD 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18 2 0000000000000000 0\n';

test('quiet is where nothing is connected and nothing waits', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-quiet-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const quiet = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries({ tcp: HEAD + LISTENS, tcp6: HEAD, udp: UDP_HEAD + BOUND, udp6: UDP_HEAD, ...files }))
      writeFileSync(join(folder, name), text);
    return isQuiet(folder);
  };
  assert.equal(quiet({}), true);
  for (const tcp of [WAITS, OPEN, ENDED]) {
    assert.equal(quiet({ tcp: HEAD + LISTENS + tcp }), false, tcp);
    assert.equal(quiet({ tcp6: HEAD + tcp }), false, tcp);
  }
  for (const udp of [BOUND.replace('00000000:00000000', '00000000:00000300'), BOUND.replace(/ 0\n/, ' 1\n')])
    assert.equal(quiet({ udp6: UDP_HEAD + udp }), false, udp);
  assert.equal(quiet({ tcp: `${HEAD}   0: nonsense\n` }), false);
});

test('what cannot be read is not quiet', () => {
  assert.equal(isQuiet('/proc/self/no-such-folder'), false);
});
