/** `sallyport capture` in a network namespace: which connections come to a sidecar's ports, and which go their way. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { needs } from '../tools.ts';
import { PROGRAM, Program } from './program.ts';

const SKIP = needs('root', 'ip', 'iptables', 'ip6tables', 'setpriv', 'python3');
const APPLICATION = '2000';
const PROXY = '1337';

/** Says on which port a connection was taken. */
const SERVER = `
import socket, sys, selectors
chosen = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(('::', port)); server.listen()
    chosen.register(server, selectors.EVENT_READ)
print('listening', flush=True)
while True:
    for key, _ in chosen.select():
        client, _ = key.fileobj.accept()
        client.sendall(str(key.fileobj.getsockname()[1]).encode()); client.close()
`;
/** As a user, prints what the server says, or "none". */
const CLIENT = `
import encodings.idna, os, socket, sys
os.setuid(int(sys.argv[1]))
try:
    client = socket.create_connection((sys.argv[2], int(sys.argv[3])), 5)
    print(client.recv(10).decode() or 'none')
except OSError:
    print('none')
`;

/** Of UDP, at one address and port, of a user; says for each datagram that it came there. */
const UDP_SERVER = `
import os, socket, sys
os.setuid(int(sys.argv[3]))
server = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], int(sys.argv[2])))
print('listening', flush=True)
while True:
    _, client = server.recvfrom(512)
    server.sendto(sys.argv[2].encode(), client)
`;
/** As a user, and from a port, prints what comes back of a datagram, or "none". */
const UDP_CLIENT = `
import os, socket, sys
os.setuid(int(sys.argv[1]))
client = socket.socket(socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET, socket.SOCK_DGRAM)
client.bind(('', int(sys.argv[3]))); client.settimeout(5)
try:
    client.connect((sys.argv[2], 53)); client.send(b'?')
    print(client.recv(10).decode())
except OSError:
    print('none')
`;

let count = 0;

/** A pod and a machine outside of it, each in a namespace of its own; the pod runs as `10.9.8.1` and `fd00:9::1`. */
function pod(t: TestContext) {
  const id = `${process.pid}-${count++}`;
  const [inside, outside] = [`sallyport-pod-${id}`, `sallyport-out-${id}`];
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const name of [inside, outside]) {
    ip('netns', 'add', name);
    t.after(() => ip('netns', 'del', name));
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', inside, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  for (const [name, end] of [
    [inside, '1'],
    [outside, '2'],
  ] as const) {
    ip('-n', name, 'addr', 'add', `10.9.8.${end}/24`, 'dev', 'eth0');
    ip('-n', name, 'addr', 'add', `fd00:9::${end}/64`, 'dev', 'eth0', 'nodad');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
  }
  const serve = async (name: string, ports: readonly string[]) => {
    const server = new Program(['-c', SERVER, ...ports], ['ip', 'netns', 'exec', name, 'python3']);
    t.after(() => server.end());
    await server.says(/listening/, 'output');
  };
  const serveUdp = async (name: string, address: string, port: string, user: string) => {
    const server = new Program(['-c', UDP_SERVER, address, port, user], ['ip', 'netns', 'exec', name, 'python3']);
    t.after(() => server.end());
    await server.says(/listening/, 'output');
  };
  const call = (name: string, user: string, address: string, port: string) =>
    execFileSync('ip', ['netns', 'exec', name, 'python3', '-c', CLIENT, user, address, port], { encoding: 'utf8' }).trim();
  return {
    start: async () => {
      await serve(inside, ['15001', '15006', '15021', '8080']);
      await serve(outside, ['80', '6379', '7000']);
    },
    /** The proxy's DNS, and a name server outside. */
    startDns: async () => {
      for (const address of ['127.0.0.1', '::1']) await serveUdp(inside, address, '15053', PROXY);
      for (const address of ['10.9.8.2', 'fd00:9::2']) await serveUdp(outside, address, '53', '0');
      await serve(inside, ['15053']);
      await serve(outside, ['53']);
    },
    ask: (user: string, address: string, from: string) =>
      execFileSync('ip', ['netns', 'exec', inside, 'python3', '-c', UDP_CLIENT, user, address, from], { encoding: 'utf8' }).trim(),
    capture: (...args: string[]) =>
      spawnSync('ip', ['netns', 'exec', inside, process.execPath, PROGRAM, 'capture', ...args], { encoding: 'utf8' }),
    rules: () => execFileSync('ip', ['netns', 'exec', inside, 'iptables-save', '-t', 'nat'], { encoding: 'utf8' }),
    out: (user: string, address: string, port: string) => call(inside, user, address, port),
    in: (address: string, port: string) => call(outside, APPLICATION, address, port),
  };
}

test('what a pod sends and gets comes to its proxy, in both families', { skip: SKIP }, async (t) => {
  const { start, capture, out, in: into } = pod(t);
  await start();
  assert.equal(out(APPLICATION, '10.9.8.2', '80'), '80');
  const { status, stderr } = capture('--exclude-outbound-ports', '6379');
  assert.equal(status, 0, stderr);
  for (const far of ['10.9.8.2', 'fd00:9::2']) {
    assert.equal(out(APPLICATION, far, '80'), '15001');
    assert.equal(out('0', far, '80'), '15001');
    // To a port where nobody is.
    assert.equal(out(APPLICATION, far, '81'), '15001');
    assert.equal(out(PROXY, far, '80'), '80');
    assert.equal(out(APPLICATION, far, '6379'), '6379');
  }
  for (const [near, loopback] of [
    ['10.9.8.1', '127.0.0.1'],
    ['fd00:9::1', '::1'],
  ] as const) {
    assert.equal(into(near, '8080'), '15006');
    assert.equal(into(near, '15021'), '15021');
    assert.equal(out(APPLICATION, loopback, '8080'), '8080');
    assert.equal(out(PROXY, loopback, '8080'), '8080');
    // The proxy calls a service that is this very pod.
    assert.equal(out(PROXY, near, '8080'), '15006');
  }
});

test('ranges, and ports whatever the range', { skip: SKIP }, async (t) => {
  const { start, capture, out, in: into } = pod(t);
  await start();
  const narrow = [
    '--include-outbound-ranges',
    '10.9.8.0/24',
    '--exclude-outbound-ranges',
    '10.9.8.2/32',
    '--include-outbound-ports',
    '7000',
  ];
  assert.equal(capture(...narrow, '--include-inbound-ports', '9999').status, 0);
  assert.equal(out(APPLICATION, '10.9.8.3', '80'), '15001');
  assert.equal(out(APPLICATION, '10.9.8.2', '80'), '80');
  assert.equal(out(APPLICATION, 'fd00:9::2', '80'), '80');
  assert.equal(out(APPLICATION, 'fd00:9::2', '7000'), '15001');
  assert.equal(into('10.9.8.1', '8080'), '8080');
  assert.equal(into('10.9.8.1', '9999'), '15006');
});

test('DNS goes to the proxy whatever server is asked, also from a port by which the proxy has just asked that server', {
  skip: SKIP,
}, async (t) => {
  const { startDns, capture, ask, out } = pod(t);
  await startDns();
  assert.equal(ask(APPLICATION, '10.9.8.2', '0'), '53');
  const { status, stderr } = capture('--dns');
  assert.equal(status, 0, stderr);
  for (const server of ['10.9.8.2', 'fd00:9::2']) {
    assert.equal(ask(APPLICATION, server, '0'), '15053');
    assert.equal(out(APPLICATION, server, '53'), '15053');
    assert.equal(out(PROXY, server, '53'), '53');
    for (const port of ['40001', '40002']) {
      assert.equal(ask(PROXY, server, port), '53');
      assert.equal(ask(APPLICATION, server, port), '15053');
      assert.equal(ask(PROXY, server, port), '53');
    }
  }
  assert.equal(ask(APPLICATION, '127.0.0.1', '0'), '15053');
  assert.equal(capture().status, 0);
  assert.equal(ask(APPLICATION, '10.9.8.2', '40003'), '53');
});

test('a second time changes nothing, another setting takes the place of the first', { skip: SKIP }, async (t) => {
  const { capture, rules } = pod(t);
  const counted = () => rules().replaceAll(/^#.*$|\[\d+:\d+\]/gm, '');
  assert.equal(capture().status, 0);
  const first = counted();
  assert.equal(capture().status, 0);
  assert.equal(counted(), first);
  assert.equal(capture('--outbound-port', '25001').status, 0);
  assert.equal(counted(), first.replace('15001', '25001'));
});

test('--dry-run writes nothing, and whoever may not write rules is told', { skip: SKIP }, (t) => {
  const { capture, rules } = pod(t);
  const dry = capture('--dry-run');
  assert.equal(dry.status, 0);
  assert.match(dry.stdout, /^# IPv4\n\*nat\n[\s\S]*COMMIT\n# IPv6\n\*nat\n[\s\S]*COMMIT\n$/);
  assert.doesNotMatch(rules(), /ISTIO/);
  const poor = spawnSync(
    'setpriv',
    ['--bounding-set', '-net_admin', '--inh-caps', '-net_admin', 'unshare', '--net', process.execPath, PROGRAM, 'capture'],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(poor.status, 3);
  assert.match(poor.stderr, /traffic may not be captured.*NET_ADMIN/s);
  assert.equal(capture('--proxy-uid', '0').status, 2);
});
