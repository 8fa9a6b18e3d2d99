/** Programs that `run` starts outside of the sandbox, to sign the audit or to print a credential: the contained command does not choose what they do. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { needs } from '../integration/tools.ts';
import { runSandboxed, sandboxNeeds, type User } from './sandbox-support.ts';

interface World {
  readonly folder: string;
  readonly signs: readonly string[];
  /** What the program would make if the command had chosen what it does. */
  readonly escaped: string;
}

function world(t: TestContext, user: User): World {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-programs-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['', 'tools', 'keys', 'audit', 'work']) mkdirSync(join(folder, name), { recursive: true });
  const [key, publicKey, sign, escaped] = ['keys/key.pem', 'keys/public.pem', 'tools/sign.sh', 'escaped'].map((name) => join(folder, name));
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', key!]);
  execFileSync('openssl', ['pkey', '-in', key!, '-pubout', '-out', publicKey!]);
  writeFileSync(
    sign!,
    `#!/bin/sh\ncat >${folder}/keys/in && openssl pkeyutl -sign -inkey ${key} -rawin -in ${folder}/keys/in | base64 -w0\n`,
  );
  chmodSync(sign!, 0o755);
  if (user === 'nobody') execFileSync('chown', ['-R', 'nobody', folder]);
  return {
    folder,
    escaped: escaped!,
    signs: ['--audit', join(folder, 'audit'), '--audit-sign-command', sign!, '--audit-public-key', publicKey!],
  };
}

for (const user of ['nobody', 'root'] as const) {
  const skip = sandboxNeeds(user) || needs('openssl');
  test(`the command cannot put another program in the place of one that runs outside (${user})`, { skip }, async (t) => {
    const { folder, signs, escaped } = world(t, user);
    const other = `printf '#!/bin/sh\\ntouch ${escaped}\\n'`;
    const ways = [
      `${other} >${folder}/tools/sign.sh`,
      `chmod 777 ${folder}/tools/sign.sh`,
      `rm ${folder}/tools/sign.sh`,
      `${other} >${folder}/work/sign.sh && mv ${folder}/work/sign.sh ${folder}/tools/sign.sh`,
      `mv ${folder}/tools ${folder}/gone`,
      `mv ${folder} ${folder}-gone`,
      `cd ${folder}/tools && ${other} >sign.sh`,
      `umount -l ${folder}/tools && ${other} >${folder}/tools/sign.sh`,
      `unshare -rm sh -c 'umount -l ${folder}/tools; ${other.replaceAll("'", '"')} >${folder}/tools/sign.sh'`,
    ];
    const script = [
      ...ways.map((way, i) => `(${way}) 2>/dev/null && echo "way ${i} worked"`),
      `echo x >${folder}/work/x && echo done`,
    ].join('\n');
    const { stdout, stderr, code } = await runSandboxed(t, user, ['sh', '-c', script], { options: signs });
    assert.equal(stdout, 'done\n', stderr);
    assert.equal(code, 0, stderr);
    assert.equal(existsSync(escaped), false);
  });

  test(`a program in a folder where the command has to write is refused (${user})`, { skip }, async (t) => {
    const { folder, signs } = world(t, user);
    const { stderr, code } = await runSandboxed(t, user, ['true'], {
      options: signs,
      environment: { HOME: join(folder, 'tools') },
    });
    assert.match(stderr, /sign\.sh runs outside of the sandbox, so the command must not change it.*move it to a folder of its own/);
    assert.equal(code, 3);
  });
}
