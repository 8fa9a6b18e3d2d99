import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostHere, REGISTRY_ONLY, throughEgress } from '../../support/egress-text.ts';
import { freePort, get, start } from './program.ts';

/** HTTP to the host, by the egress gateway, to a server on this machine. */
const egress = (host: string, port: number) => `${REGISTRY_ONLY}${hostHere('www', host, port)}${throughEgress(host)}\n`;

interface Upstream {
  readonly port: number;
  /** The answers to /slow, held back. */
  readonly held: ServerResponse[];
  readonly server: Server;
}

async function upstream(t: TestContext): Promise<Upstream> {
  const held: ServerResponse[] = [];
  const server = createServer((request, answer) => {
    if (request.url === '/slow') {
      held.push(answer);
      server.emit('held');
    } else answer.end(`${request.headers.host} ${request.headers['x-forwarded-for'] ? 'by the gateway' : 'directly'}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, held, server };
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'sallyport-up-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** As editors save. */
function save(file: string, text: string): void {
  writeFileSync(`${file}.tmp~`, text);
  renameSync(`${file}.tmp~`, file);
}

/** Each test has routers of its own. */
let routers = 0;
async function flags(): Promise<{ proxy: number; flags: string[]; router: string }> {
  const proxy = await freePort();
  const router = `127.0.103.${++routers * 10}`;
  const none = ['--capture-port', '0', '--dns-address', '0', '--admin-address', '0', '--status-address', '0', '--concurrency', '1'];
  return { proxy, router, flags: ['--proxy-address', String(proxy), '--router-address', router, ...none] };
}

test('a connection ends with what allowed it, and others go on', { skip: onLinux() }, async (t) => {
  const echo = createTcpServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  t.after(() => echo.close());
  const { port } = echo.address() as AddressInfo;
  const host = (name: string, address: string) =>
    hostHere(name, `${name}.example`, port).replace('HTTP', 'TCP').replace('spec:', `spec:\n  addresses: [${address}]`);
  const [stays, goes] = [REGISTRY_ONLY + host('stays', '240.5.0.1'), host('goes', '240.5.0.2')];
  const file = join(folder(t), 'mesh.yaml');
  save(file, stays + goes);
  const own = await flags();
  const up = start(t, ['up', file, ...own.flags]);
  await up.says(/ready/);
  const tunnel = async (name: string) => {
    const socket = connect(own.proxy, '127.0.0.1').on('error', () => undefined);
    t.after(() => socket.destroy());
    socket.write(`CONNECT ${name}.example:80 HTTP/1.1\r\n\r\n`);
    await once(socket, 'data');
    socket.write('1');
    assert.equal(String((await once(socket, 'data'))[0]), '1');
    return socket;
  };
  const [going, staying] = [await tunnel('goes'), await tunnel('stays')];
  const closed = once(going, 'close');
  save(file, stays);
  await closed;
  staying.write('2');
  assert.equal(String((await once(staying, 'data'))[0]), '2');
});

test('up takes a call through the egress gateway, refuses what is not declared, and follows its files', { skip: onLinux() }, async (t) => {
  const { port } = await upstream(t);
  const file = join(folder(t), 'egress.yaml');
  save(file, egress('www.example.com', port));
  const { proxy, flags: options } = await flags();
  const up = start(t, ['up', file, ...options]);
  await up.says(/ready: use the proxy/);

  assert.deepEqual(await get(proxy, 'http://www.example.com/', 'www.example.com'), { status: 200, body: 'www.example.com by the gateway' });
  assert.equal((await get(proxy, 'http://198.51.100.7/', '198.51.100.7')).status, 502);

  // Broken: what is wrong is said with its place, and what was good stays.
  save(file, egress('www.example.com', port).replace('location:', 'locaton:'));
  await up.says(/SP0008.*ServiceEntry default\/www \(.*egress\.yaml:14:3\)\n.*did you mean location\?/);
  await up.says(/SP0010.*ServiceEntry default\/www/);
  assert.equal((await get(proxy, 'http://www.example.com/', 'www.example.com')).status, 200);

  // Mended, with another host.
  save(file, egress('new.example.com', port));
  await up.says(/mended \[SP0008\]/);
  assert.deepEqual(await get(proxy, 'http://new.example.com/', 'new.example.com'), { status: 200, body: 'new.example.com by the gateway' });
  assert.equal(await up.end(), 0);
});

test('with the gateway’s route gone a call fails at the gateway, it does not go round it', { skip: onLinux() }, async (t) => {
  const { port } = await upstream(t);
  const file = join(folder(t), 'egress.yaml');
  save(file, egress('www.example.com', port).replace(/ {2}- match: \[\{ gateways: \[egress\] \}\]\n.*\n/, ''));
  const { proxy, flags: options } = await flags();
  const up = start(t, ['up', file, ...options]);
  await up.says(/ready: use the proxy/);
  assert.equal((await get(proxy, 'http://www.example.com/', 'www.example.com')).status, 404);
});

test('a running request outlives SIGTERM', { skip: onLinux() }, async (t) => {
  const { port, held, server } = await upstream(t);
  const file = join(folder(t), 'egress.yaml');
  save(file, egress('www.example.com', port));
  const { proxy, flags: options } = await flags();
  const up = start(t, ['up', file, ...options]);
  await up.says(/ready: use the proxy/);
  const arrived = once(server, 'held');
  const reply = get(proxy, 'http://www.example.com/slow', 'www.example.com');
  await arrived;
  up.child.kill('SIGTERM');
  await up.says(/draining/);
  held[0]!.end('late');
  assert.deepEqual(await reply, { status: 200, body: 'late' });
  assert.equal(await up.exit, 0);
});

test('a port that is in use ends it with 3 and says who has it', { skip: onLinux() }, async (t) => {
  const { port } = await upstream(t);
  const file = join(folder(t), 'egress.yaml');
  save(file, egress('www.example.com', port));
  const { flags: options } = await flags();
  for (const option of ['--capture-port', '--proxy-address', '--dns-address', '--admin-address', '--status-address']) {
    const up = start(t, ['up', file, ...options, option, String(port)]);
    assert.equal(await up.exit, 3, option);
    assert.match(up.errors, new RegExp(`127\\.0\\.0\\.1:${port}.* in use`), option);
  }
});

test('a path that does not exist ends it with 3', async (t) => {
  const up = start(t, ['up', '/does/not/exist']);
  assert.equal(await up.exit, 3);
  assert.match(up.errors, /\/does\/not\/exist/);
});

/** The routers' addresses are local without being set up on Linux only. */
function onLinux(): string | false {
  return process.platform === 'linux' ? false : 'needs Linux: all of 127/8 local';
}

test('the gateway of the example of identities logs whose call it is, its host, and the rule that let it pass', {
  skip: onLinux(),
}, async (t) => {
  const { port } = await upstream(t);
  const example = join(import.meta.dirname, '../../../examples/egress-identities');
  const path = folder(t);
  for (const name of ['egress.yaml', 'mesh.yaml', 'workloads.yaml'])
    writeFileSync(join(path, name), readFileSync(join(example, name), 'utf8').replaceAll('http: 18080', `http: ${port}`));
  const { proxy, flags: options } = await flags();
  const up = start(t, ['up', path, ...options]);
  await up.says(/ready: use the proxy/);
  assert.equal((await get(proxy, 'http://news.example.com/', 'news.example.com')).status, 200);
  assert.equal((await get(proxy, 'http://payments.example.com/', 'payments.example.com')).status, 403);
  const who = 'who=spiffe://cluster\\.local/ns/default/sa/default';
  const rule = 'rule=ns\\[istio-system\\]-policy\\[who-reaches-what\\]-rule\\[1\\]';
  await up.says(new RegExp(`${who} host="news\\.example\\.com" 200 via_upstream verdict=allowed ${rule}`), 'output');
  await up.says(new RegExp(`${who} host="payments\\.example\\.com" 403 rbac_access_denied\\S* verdict=denied rule=-`), 'output');
});
