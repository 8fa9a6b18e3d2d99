/** Programs that `run` starts outside of the sandbox, to sign the audit or to print a credential: the contained command does not choose what they do. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { needs } from '../integration/tools.ts';
import { asUser, runSandboxed, sandboxNeeds, type User } from './sandbox-support.ts';

const ROOT = join(import.meta.dirname, '../..');

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

for (const user of ['nobody', 'root'] as const) {
  const skip = sandboxNeeds(user) || needs('openssl');
  test(`nor by a folder in which the program is looked for first (${user})`, { skip }, async (t) => {
    const { folder, signs } = world(t, user);
    const named = signs.map((word) => (word.endsWith('/sign.sh') ? 'sign.sh' : word));
    const path = `${folder}/first:${folder}/tools:${process.env.PATH}`;
    mkdirSync(join(folder, 'first'));
    if (user === 'nobody') execFileSync('chown', ['nobody', join(folder, 'first')]);
    const script = `echo x 2>/dev/null >${folder}/first/sign.sh && echo planted; echo done`;
    const planted = await runSandboxed(t, user, ['sh', '-c', script], { options: named, environment: { PATH: path } });
    assert.equal(planted.stdout, 'done\n', planted.stderr);
    rmSync(join(folder, 'first'), { recursive: true });
    const made = await runSandboxed(t, user, ['true'], { options: named, environment: { PATH: path } });
    assert.match(made.stderr, /sign\.sh runs outside of the sandbox.*name it by its path/);
  });

  test(`a program that is found by a link in a folder where the command has to write is refused (${user})`, { skip }, async (t) => {
    const { folder, signs } = world(t, user);
    const linked = signs.map((word) => (word.endsWith('/sign.sh') ? join(folder, 'work/by-link/sign.sh') : word));
    symlinkSync(join(folder, 'tools'), join(folder, 'work/by-link'));
    const { stderr, code } = await runSandboxed(t, user, ['true'], { options: linked, environment: { HOME: join(folder, 'work') } });
    assert.match(stderr, /runs outside of the sandbox/);
    assert.equal(code, 3);
  });
}

test('nor by a program that it would start itself, or that a credential comes from', {
  skip: sandboxNeeds('nobody') || needs('openssl', 'curl'),
}, async (t) => {
  const { folder, signs, escaped } = world(t, 'nobody');
  const first = join(folder, 'first');
  mkdirSync(first);
  execFileSync('chown', ['nobody', first]);
  const printing = join(folder, 'tools', 'print.sh');
  writeFileSync(printing, '#!/bin/sh\nuname\n');
  chmodSync(printing, 0o755);
  const policy = join(folder, 'policy.yaml');
  const credential = { bearer: true, from: { command: [printing] } };
  writeFileSync(
    policy,
    JSON.stringify({ allow: [{ host: 'allowed.example', ports: [80], tls: { originate: true }, credentials: [credential] }] }),
  );
  const plant = ['openssl', 'cat', 'base64', 'uname'].map(
    (name) => `printf '#!/bin/sh\\ntouch ${escaped}-${name}\\n' >${first}/${name}; chmod 755 ${first}/${name}`,
  );
  const script = [...plant, '/usr/bin/curl -s -m 20 http://allowed.example/ >/dev/null', 'echo done'].join('\n');
  const path = `${first}:/missing:${folder}/later:${process.env.PATH}`;
  const { stdout, stderr } = await runSandboxed(t, 'nobody', ['sh', '-c', script], {
    options: [...signs, '--policy', policy],
    environment: { PATH: path },
  });
  assert.equal(stdout, 'done\n', stderr);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('escaped')),
    [],
    stderr,
  );
});

for (const [what, option, file] of [
  ['the report', '--report', 'report.json'],
  ['a list that is learned', '--learn-policy', 'learned.yaml'],
] as const)
  test(`nor by a link in the place of what is written outside: ${what}`, {
    skip: sandboxNeeds('nobody') || needs('openssl'),
  }, async (t) => {
    const { folder, signs } = world(t, 'nobody');
    const [sign, written] = [join(folder, 'tools/sign.sh'), join(folder, 'work', file)];
    const before = readFileSync(sign, 'utf8');
    const options = [...signs, option, written];
    const script = `rm -f ${written} && ln -s ${sign} ${written} && curl -s -m 5 http://refused.example/ >/dev/null; echo done`;
    const { stdout, stderr } = await runSandboxed(t, 'nobody', ['sh', '-c', script], { options });
    assert.equal(stdout, 'done\n', stderr);
    assert.equal(readFileSync(sign, 'utf8'), before, stderr);
    assert.match(stderr, /cannot be written: it leads to .*sign\.sh now/);
    const again = await runSandboxed(t, 'nobody', ['true'], { options });
    assert.match(again.stderr, /it is a link, which an earlier command may have put there/);
    assert.equal(readFileSync(sign, 'utf8'), before);
  });

test('a program that may be written in a folder that may not is kept as it is', {
  skip: sandboxNeeds('nobody') || needs('openssl'),
}, async (t) => {
  const { folder, signs } = world(t, 'nobody');
  execFileSync('chown', ['root', folder, join(folder, 'tools')]);
  chmodSync(folder, 0o755);
  const { stdout, stderr } = await runSandboxed(t, 'nobody', ['sh', '-c', `echo x >>${folder}/tools/sign.sh || echo kept`], {
    options: signs,
  });
  assert.equal(stdout, 'kept\n', stderr);
});

/** An installation of its own, which the user owns. */
function installed(t: TestContext, user: User): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-installed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of ['bin', 'dist', 'package.json']) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  if (user === 'nobody') execFileSync('chown', ['-R', '-h', 'nobody', folder]);
  return folder;
}

for (const user of ['nobody', 'root'] as const)
  test(`code of Sallyport's own that the command has changed is not run (${user})`, {
    skip: sandboxNeeds(user) || needs('curl'),
  }, async (t) => {
    const folder = installed(t, user);
    const home = join(folder, 'home');
    mkdirSync(home);
    if (user === 'nobody') execFileSync('chown', ['nobody', home]);
    const escaped = join(home, 'escaped');
    const added = `import(\`node:fs\`).then((fs) => fs.writeFileSync(\`${escaped}\`, \`\`));`;
    const script = [
      `for file in ${folder}/dist/*.js; do echo '${added}' >>$file; done`,
      `for file in ${home}/.cache/sallyport/compile/*/*; do echo x >$file && echo "compiled code was written"; done 2>/dev/null`,
      'curl -s -m 20 http://refused.example/',
      'echo over',
    ].join('\n');
    const run = ['run', '--allow', 'allowed.example', '--', 'sh', '-c', script];
    const env = { HOME: home, PATH: process.env.PATH };
    const words = [...asUser(user), process.execPath, join(folder, 'bin/sallyport.js')];
    // So that there is compiled code.
    spawnSync(words[0]!, [...words.slice(1), 'run', '--allow', 'allowed.example', '--', 'true'], { env });
    const { status, stdout, stderr } = spawnSync(words[0]!, [...words.slice(1), ...run], { env, encoding: 'utf8', timeout: 60_000 });
    assert.doesNotMatch(stdout, /compiled code was written/);
    assert.match(stderr, /was changed while a contained command ran/);
    assert.notEqual(status, 0);
    assert.equal(existsSync(escaped), false);
  });

for (const [way, put] of [
  ['a folder', (dist: string, other: string) => `mv ${dist} ${dist}-gone && mv ${other} ${dist}`],
  ['a link', (dist: string, other: string) => `mv ${dist} ${dist}-gone && ln -s ${other} ${dist}`],
] as const)
  test(`nor code that another command has left beforehand, in the place of Sallyport's own: ${way}`, {
    skip: sandboxNeeds('nobody') || needs('curl'),
  }, async (t) => {
    const folder = installed(t, 'nobody');
    const [home, other, escaped] = ['home', 'other', 'home/escaped'].map((name) => join(folder, name)) as [string, string, string];
    mkdirSync(home);
    cpSync(join(ROOT, 'dist'), other, { recursive: true });
    for (const name of readdirSync(other))
      if (name.endsWith('.js'))
        appendFileSync(join(other, name), `import('node:fs').then((fs) => fs.writeFileSync(${JSON.stringify(escaped)}, ''));`);
    execFileSync('chown', ['-R', '-h', 'nobody', folder]);
    const script = `${put(join(folder, 'dist'), other)} && curl -s -m 20 http://refused.example/; echo over`;
    const words = [...asUser('nobody'), process.execPath, join(folder, 'bin/sallyport.js'), 'run', '--', 'sh', '-c', script];
    const env = { HOME: home, PATH: process.env.PATH };
    const { status, stderr } = spawnSync(words[0]!, words.slice(1), { env, encoding: 'utf8', timeout: 60_000 });
    assert.match(stderr, /was changed while a contained command ran/);
    assert.notEqual(status, 0);
    assert.equal(existsSync(escaped), false);
  });
