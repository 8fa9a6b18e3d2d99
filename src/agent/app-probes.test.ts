import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Server as GrpcServer, ServerCredentials, status } from '@grpc/grpc-js';
import { newAuthorityFiles, openAuthority } from '../ca/authority.ts';
import { appProbes, probeApp } from './app-probes.ts';

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('the application is asked as the kubelet would, from an address that is not captured', async (t) => {
  const seen: { from: string | undefined; headers: IncomingHttpHeaders; url: string | undefined }[] = [];
  const server = createServer(({ socket, headers, url }, answer) => {
    seen.push({ from: socket.remoteAddress, headers, url });
    answer.writeHead(url === '/ok' ? 200 : url === '/moved' ? 302 : 500).end();
  });
  const port = await listening(t, server);
  const ask = (path: string) =>
    probeApp(
      {
        httpGet: {
          path,
          port,
          httpHeaders: [
            { name: 'Host', value: 'app' },
            { name: 'x-a', value: '1' },
          ],
        },
      },
      '127.0.0.1',
      'kube-probe/1.34',
    );
  assert.deepEqual([await ask('/ok'), await ask('moved'), await ask('/')], [200, 302, 500]);
  const { from, headers, url } = seen[0]!;
  assert.deepEqual([from, url, headers.host, headers['x-a'], headers['user-agent']], ['127.0.0.6', '/ok', 'app', '1', 'kube-probe/1.34']);
});

test('TLS is spoken, and not judged', async (t) => {
  const { chain, key } = openAuthority(newAuthorityFiles('td', Date.now()), 'test').issue('spiffe://td/ns/a/sa/b', Date.now(), ['app']);
  const port = await listening(
    t,
    createSecureServer({ cert: chain, key: key.reveal().toString() }, (_request, answer) => answer.end()),
  );
  assert.equal(await probeApp({ httpGet: { port, scheme: 'HTTPS' } }, '127.0.0.1', undefined), 200);
});

test('connections, and nobody there', async (t) => {
  const server = createTcpServer((socket) => socket.on('error', () => {}));
  const port = await listening(t, server);
  assert.equal(await probeApp({ tcpSocket: { port } }, '127.0.0.1', undefined), 200);
  // It says nothing.
  assert.equal(await probeApp({ httpGet: { port }, timeoutSeconds: 1 }, '127.0.0.1', undefined), 503);
  server.close();
  for (const probe of [{ tcpSocket: { port } }, { httpGet: { port } }, { grpc: { port } }])
    assert.equal(await probeApp(probe, '127.0.0.1', undefined), 503);
});

test('what is no status is none, whatever number the application says', async (t) => {
  let line = '';
  const server = createTcpServer((socket) => socket.on('error', () => {}).end(`HTTP/1.1 ${line}\r\n\r\n`));
  const port = await listening(t, server);
  for (line of ['000 Zero', '099 Less', '999 More', '20 Short', '2000 Long', 'OK'])
    assert.equal(await probeApp({ httpGet: { port } }, '127.0.0.1', undefined), 503, line);
});

test('health checks of gRPC, with the service that is meant', async (t) => {
  const server = new GrpcServer();
  const asItIs = (bytes: Buffer) => bytes;
  const method = { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false } as const;
  const form = { requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs };
  const long = 's'.repeat(200);
  server.addService(
    { Check: { ...method, ...form } },
    {
      Check: ({ request }: { request: Buffer }, answer: (error: object | null, response?: Buffer) => void) => {
        const service = request.toString();
        if (service.endsWith('unknown')) answer({ code: status.NOT_FOUND });
        else answer(null, Buffer.from([0x08, service.endsWith('down') ? 2 : 1]));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  t.after(() => server.forceShutdown());
  const ask = (service?: string) => probeApp({ grpc: { port, ...(service === undefined ? {} : { service }) } }, '127.0.0.1', undefined);
  assert.deepEqual([await ask(), await ask(long), await ask('down'), await ask('unknown')], [200, 200, 503, 503]);
});

test('what injection writes is read, and nothing else', () => {
  assert.equal(appProbes('{"/app-health/app/readyz":{"httpGet":{"path":"/","port":80}}}').size, 1);
  for (const text of [
    '{',
    '[]',
    'null',
    '{"/app-health/a/readyz":{}}',
    '{"/stats/prometheus":{"tcpSocket":{"port":1}}}',
    '{"/app-health/a/livez":null}',
  ])
    assert.throws(() => appProbes(text), /--app-probes/, text);
});
