/** `sallyport cni` and its plugin, as a container runtime starts it, on folders and in a network namespace of the tests' own. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import * as esbuild from 'esbuild';
import { linkPlugin } from '../../../scripts/image.ts';
import { captureText } from '../../../src/kube/capture/annotation.ts';
import { ALL_CAPTURED } from '../../../src/kube/capture/testing.ts';
import { needs } from '../tools.ts';
import { PROGRAM, Program } from './program.ts';

const skip = needs('root', 'ip', 'iptables', 'ip6tables', 'setpriv', 'nsenter');
const SETTINGS = { ...ALL_CAPTURED, dnsPort: 15_053 };
const CONF = { cniVersion: '1.0.0', name: 'lab', plugins: [{ type: 'bridge', bridge: 'cni0' }, { type: 'portmap' }] };
const RESULT = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/x', mac: '0a:58:0a:7c:00:03' }],
  ips: [{ address: '10.9.8.2/24', gateway: '10.9.8.1', interface: 0 }],
  dns: { nameservers: ['10.96.0.10'] },
  unknown: [1, { deep: null }],
};
const POD = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=abc';

let folder: string;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'sallyport-cni-'));
  const script = join(folder, 'plugin.js');
  const entry = join(import.meta.dirname, '../../../src/kube/cni/plugin.ts');
  await esbuild.build({ entryPoints: [entry], outfile: script, bundle: true, format: 'esm', platform: 'node', target: 'node24' });
  linkPlugin(join(folder, 'image'), { node: process.execPath, script });
});
after(() => folder && rmSync(folder, { recursive: true, force: true }));

/** A node with the plugin kept on it. */
async function node(t: TestContext, conf: Readonly<Record<string, unknown>>) {
  const here = mkdtempSync(join(folder, 'node-'));
  const [bin, net] = [join(here, 'bin'), join(here, 'net.d')];
  for (const each of [bin, net]) mkdirSync(each);
  const write = (name: string, what: unknown) => {
    writeFileSync(join(net, `${name}.half`), typeof what === 'string' ? what : JSON.stringify(what));
    renameSync(join(net, `${name}.half`), join(net, name));
  };
  for (const [name, what] of Object.entries(conf)) write(name, what);
  const keeper = new Program([
    'cni',
    '--bin-dir',
    bin,
    '--conf-dir',
    net,
    '--plugin',
    join(folder, 'image'),
    '--status-address',
    '127.0.0.1:0',
  ]);
  t.after(() => keeper.child.kill('SIGKILL'));
  const own = join(net, '0-sallyport-cni.conflist');
  return { bin, net, own, keeper, write, chained: () => JSON.parse(readFileSync(own, 'utf8')) };
}

/** A pod's network before any container of it runs. */
function namespace(t: TestContext): string {
  const name = `spcni-${process.pid}`;
  const ip = (...args: readonly string[]) => execFileSync('ip', args);
  ip('netns', 'add', name);
  t.after(() => ip('netns', 'delete', name));
  for (const line of [
    'link set lo up',
    'link add eth0 type veth peer name far',
    'addr add 10.9.8.2/24 dev eth0',
    'link set eth0 up',
    'link set far up',
    'route add default via 10.9.8.1',
  ])
    ip('-n', name, ...line.split(' '));
  return name;
}

function asked(bin: string, command: string, config: object | string, netns?: string) {
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'abc',
    CNI_IFNAME: 'eth0',
    CNI_PATH: bin,
    CNI_ARGS: POD,
    ...(netns && { CNI_NETNS: netns }),
  };
  const input = typeof config === 'string' ? config : JSON.stringify(config);
  const { status, stdout, stderr } = spawnSync(join(bin, 'sallyport-cni'), [], { input, env, encoding: 'utf8', timeout: 30_000 });
  return { status, stderr, said: stdout === '' ? undefined : JSON.parse(stdout) };
}

const pluginConf = (annotations: object | null, more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'lab',
  type: 'sallyport-cni',
  capabilities: { 'io.kubernetes.cri.pod-annotations': true },
  runtimeConfig: { 'io.kubernetes.cri.pod-annotations': annotations },
  prevResult: RESULT,
  ...more,
});
const OF_THE_MESH = { 'sallyport.dev/capture': captureText(SETTINGS) };

test('a pod of the mesh is captured before anything of it runs, as its check sees; another is left, and results pass unchanged', {
  skip,
}, async (t) => {
  const { bin, keeper } = await node(t, { '10-lab.conflist': CONF });
  await keeper.says(/captured by the plugin/);
  const name = namespace(t);
  const netns = `/run/netns/${name}`;
  const rules = () => execFileSync('ip', ['netns', 'exec', name, 'iptables-save'], { encoding: 'utf8' });
  const check = (uid: number) => {
    const as = ['netns', 'exec', name, 'setpriv', '--reuid', String(uid), '--clear-groups', '--bounding-set=-all', '--inh-caps=-all'];
    const inbound = uid === SETTINGS.proxyUid ? ['--include-outbound-ranges', ''] : ['--dns'];
    return spawnSync('ip', [...as, process.execPath, PROGRAM, 'capture', '--check', ...inbound], { encoding: 'utf8', timeout: 30_000 });
  };

  for (const annotations of [{}, null, { 'sidecar.istio.io/status': '{}' }]) {
    const left = asked(bin, 'ADD', pluginConf(annotations), netns);
    assert.deepEqual([left.status, left.said], [0, RESULT]);
  }
  assert.doesNotMatch(rules(), /ISTIO/);
  assert.equal(asked(bin, 'CHECK', pluginConf({}), netns).status, 0);
  for (const uid of [1338, 1337]) {
    const { status, stderr } = check(uid);
    assert.equal(status, 3, stderr);
    assert.match(stderr, /is not captured: .*CNI plugin on this node/s, String(uid));
  }
  const bare = asked(bin, 'CHECK', pluginConf(OF_THE_MESH), netns);
  assert.equal(bare.status, 1);
  assert.match(bare.said.msg, /^pod shop\/web-1: its traffic is not captured: .*ISTIO_OUTPUT/);

  const began = performance.now();
  const added = asked(bin, 'ADD', pluginConf(OF_THE_MESH), netns);
  t.diagnostic(`ADD ${(performance.now() - began).toFixed(0)} ms`);
  assert.deepEqual([added.status, added.said], [0, RESULT]);
  assert.match(rules(), /-A ISTIO_OUTPUT -j ISTIO_REDIRECT/);
  assert.equal(asked(bin, 'CHECK', pluginConf(OF_THE_MESH), netns).status, 0);
  const seen = check(1338);
  assert.equal(seen.status, 0, seen.stderr);
  assert.match(seen.stderr, /captured: TCP \(IPv4\), DNS \(IPv4\)/);
  assert.match(check(1337).stderr, /captured: inbound TCP/);
  // As runtimes do that try again.
  assert.equal(asked(bin, 'ADD', pluginConf(OF_THE_MESH), netns).status, 0);

  execFileSync('ip', ['netns', 'exec', name, 'iptables', '-t', 'nat', '-D', 'OUTPUT', '-j', 'ISTIO_OUTPUT']);
  assert.match(asked(bin, 'CHECK', pluginConf(OF_THE_MESH), netns).said.msg, /OUTPUT -j ISTIO_OUTPUT/);
  assert.equal(check(1338).status, 3);
  assert.deepEqual(asked(bin, 'DEL', pluginConf(OF_THE_MESH), netns), { status: 0, stderr: '', said: undefined });
});

test('what cannot be captured does not start, and says why as CNI has it', { skip }, async (t) => {
  const { bin, keeper } = await node(t, { '10-lab.conflist': CONF });
  await keeper.says(/captured by the plugin/);
  const failure = (...given: Parameters<typeof asked>) => {
    const { status, said } = asked(...given);
    assert.equal(status, 1);
    assert.equal(typeof said.cniVersion, 'string');
    return `${said.code} ${said.msg}`;
  };
  const ofTheMesh = pluginConf(OF_THE_MESH);
  assert.match(
    failure(bin, 'ADD', ofTheMesh, '/run/netns/spcni-none'),
    /^100 pod shop\/web-1: its traffic cannot be captured, so it does not start: .*No such file/s,
  );
  assert.match(failure(bin, 'ADD', ofTheMesh), /^4 .*CNI_NETNS/);
  assert.match(
    failure(bin, 'ADD', pluginConf({ 'sallyport.dev/capture': '{"proxyUid":"0"}' }), '/run/netns/x'),
    /^7 .*proxyUid has to be a whole number/,
  );
  assert.match(failure(bin, 'ADD', pluginConf({}, { prevResult: undefined }), '/run/netns/x'), /^7 .*prevResult/);
  assert.match(failure(bin, 'ADD', pluginConf({}, { cniVersion: '2.0.0' }), '/run/netns/x'), /^1 .*2\.0\.0/);
  assert.match(failure(bin, 'ADD', 'no json'), /^6 /);
  assert.match(failure(bin, 'MOVE', ofTheMesh), /^4 .*MOVE/);
  assert.deepEqual(asked(bin, 'VERSION', { cniVersion: '0.4.0' }).said, {
    cniVersion: '0.4.0',
    supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  });
  for (const command of ['STATUS', 'GC'])
    assert.equal(asked(bin, command, { cniVersion: '1.1.0', name: 'lab', type: 'sallyport-cni' }).status, 0);
});

test('whoever writes the network’s configuration anew, or takes the plugin away, does not get round it', { skip }, async (t) => {
  const { bin, net, own, keeper, write, chained } = await node(t, { '10-lab.conflist': CONF, 'other.txt': 'no conf' });
  await keeper.says(/captured by the plugin/);
  const plugin = { type: 'sallyport-cni', capabilities: { 'io.kubernetes.cri.pod-annotations': true } };
  assert.deepEqual(chained(), { ...CONF, plugins: [...CONF.plugins, plugin] });
  const times = (pattern: RegExp) => keeper.errors.match(pattern)?.length ?? 0;
  const again = async (change: () => void) => {
    const before = times(/wrote/g);
    change();
    await keeper.says(new RegExp(`(?:wrote[\\s\\S]*){${before + 1}}`));
  };
  await again(() => write('10-lab.conflist', { ...CONF, name: 'other' }));
  assert.equal(chained().name, 'other');
  await again(() => rmSync(own));
  await again(() => writeFileSync(own, '{}'));
  assert.equal(chained().plugins.at(-1).type, 'sallyport-cni');
  // A single plugin, as older ones write it.
  await again(() => write('05-single.conf', { cniVersion: '0.3.1', name: 'single', type: 'ptp' }));
  assert.deepEqual(chained(), {
    cniVersion: '0.3.1',
    name: 'single',
    plugins: [{ cniVersion: '0.3.1', name: 'single', type: 'ptp' }, plugin],
  });
  write('05-single.conf', '{ "half');
  await keeper.says(/05-single\.conf is no JSON/);
  assert.equal(chained().name, 'single');
  // No pod would start, of the mesh or not, were it chained in a version that it does not speak.
  for (const versions of [{ cniVersion: '1.2.0' }, { cniVersion: '1.1.0', cniVersions: ['1.0.0', '1.1.0', '2.0.0'] }]) {
    write('05-single.conf', { ...versions, name: 'newer', type: 'ptp' });
    await keeper.says(new RegExp(`05-single\\.conf has the cniVersion "${versions.cniVersions?.at(-1) ?? versions.cniVersion}"`));
    assert.equal(chained().name, 'single');
  }
  await again(() => rmSync(join(net, '05-single.conf')));

  const gone = existsSync(join(bin, 'sallyport-cni'));
  assert.ok(gone);
  rmSync(join(bin, 'sallyport-cni'));
  await again(() => rmSync(own));
  assert.ok(existsSync(join(bin, 'sallyport-cni')));
  write('0-first.conf', { cniVersion: '0.3.1', name: 'first', type: 'ptp' });
  await keeper.says(/0-first\.conf comes before/);
  rmSync(join(net, '0-first.conf'));
  rmSync(join(net, '10-lab.conflist'));
  await keeper.says(/no network configuration to chain/);
  assert.deepEqual(readdirSync(net), ['other.txt']);
});

test('when it ends the plugin stays, and a newer one takes its place whole', { skip }, async (t) => {
  const { bin, own, net, keeper } = await node(t, { '10-lab.conflist': CONF });
  await keeper.says(/captured by the plugin/);
  keeper.child.kill('SIGTERM');
  assert.equal(await keeper.exit, 0, keeper.errors);
  assert.ok(existsSync(own));
  assert.equal(asked(bin, 'VERSION', { cniVersion: '1.0.0' }).status, 0);
  const [first] = readdirSync(join(bin, 'sallyport-cni.d'));
  const newer = join(folder, 'newer');
  const script = join(folder, 'newer.js');
  writeFileSync(script, `${readFileSync(join(folder, 'plugin.js'), 'utf8')}\n// Newer.\n`);
  linkPlugin(newer, { node: process.execPath, script });
  const second = new Program(['cni', '--bin-dir', bin, '--conf-dir', net, '--plugin', newer, '--status-address', '127.0.0.1:0']);
  t.after(() => second.child.kill('SIGKILL'));
  await second.says(/captured by the plugin/);
  const now = readdirSync(join(bin, 'sallyport-cni.d'));
  assert.equal(now.length, 1);
  assert.notEqual(now[0], first);
  assert.equal(asked(bin, 'VERSION', { cniVersion: '1.0.0' }).status, 0);
});
