/** `run` that shows a client certificate to a server that lets nobody in without one; the command has neither it nor a way to it but its calls. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type Certificate, makeCertificate } from '../outside.ts';
import { needs } from '../tools.ts';
import { type InjectedWorld, injectedWorld, skip as noSandbox } from './credentials-world.ts';

const skip = noSandbox || needs('openssl', 'curl');

interface Asking {
  readonly world: InjectedWorld;
  readonly port: number;
  /** Path, and whose certificate was shown. */
  readonly came: (readonly [path: string, name: string])[];
  readonly files: { readonly ca: string; readonly clientCertificate: string; readonly privateKey: string };
  answer: (request: IncomingMessage, response: ServerResponse) => void;
}

/** A server for `names` that takes clients `one` and `two`, and the files of `one`. */
async function askingServer(t: TestContext, clients: readonly Certificate[], ...names: readonly string[]): Promise<Asking> {
  const own = makeCertificate(...names);
  const world = await injectedWorld(t, { secret: 'unused' });
  const came: [string, string][] = [];
  const server = createServer({ ...own, requestCert: true, ca: clients.map(({ cert }) => cert) }, (request, response) => {
    came.push([request.url!, (request.socket as TLSSocket).getPeerCertificate().subject.CN as string]);
    response.setHeader('connection', 'close').setHeader('x-shown', came.at(-1)![1]);
    asking.answer(request, response);
    response.end('in\n');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  mkdirSync(join(world.folder, 'identity'));
  const at = (name: string) => join(world.folder, name);
  const files = { ca: at('ca.pem'), clientCertificate: at('identity/cert.pem'), privateKey: at('identity/key.pem') };
  writeFileSync(files.ca, own.cert);
  replace(files, clients[0]!);
  const asking: Asking = { world, port: (server.address() as AddressInfo).port, came, files, answer: () => undefined };
  return asking;
}

/** One file after the other, as those who renew certificates do. */
function replace({ clientCertificate, privateKey }: Asking['files'], { cert, key }: Certificate): void {
  for (const [file, text] of [
    [clientCertificate, cert],
    [privateKey, key],
  ] as const) {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }
}

test('it is shown where TLS is originated or intercepted, renewed files are taken over, and the key is not the command’s', {
  skip,
}, async (t) => {
  const [one, two] = [makeCertificate('one'), makeCertificate('two')];
  const asking = await askingServer(t, [one, two], 'api.example');
  const { world, port, came, files } = asking;
  asking.answer = ({ url }) => url === '/originated' && replace(files, two);
  const { stdout, stderr } = await world.run(
    `curl -sS https://api.example:${port}/intercepted
     curl -sS http://api.example:8080/originated
     until curl -sS -o /dev/null -D - https://api.example:${port}/renewed | grep -q two; do :; done
     ls ${join(world.folder, 'identity')}`,
    {
      entries: [
        { ports: [port], tls: { intercept: true, ...files } },
        { ports: [8080], tls: { originate: true, port, ...files } },
      ],
    },
  );
  assert.deepEqual(came.slice(0, 2), [
    ['/intercepted', 'one'],
    ['/originated', 'one'],
  ]);
  assert.equal(came.at(-1)![1], 'two', stderr);
  // None failed while one file was new and the other was not.
  assert.doesNotMatch(stderr, /curl: /);
  assert.doesNotMatch(stdout, /key\.pem/);
  for (const { key } of [one, two]) for (const line of key.split('\n').slice(1, -2)) assert.ok(!`${stdout}${stderr}`.includes(line));
});

test('a server that is not verified to be the host’s gets no request, nor does another route lead there, nor does a redirect carry it', {
  skip,
}, async (t) => {
  const one = makeCertificate('one');
  const elsewhere = await askingServer(t, [one], 'elsewhere.example');
  const asking = await askingServer(t, [one], 'api.example', 'other.example');
  const { world, port, came, files } = asking;
  asking.answer = ({ url }, response) => {
    if (url === '/redirect') response.writeHead(302, { location: `https://other.example:${port}/carried` });
  };
  const resources = join(world.folder, 'resources.yaml');
  const route = [{ destination: { host: 'api.example', port: { number: port } } }];
  const spec = { hosts: ['astray.example'], http: [{ route }] };
  writeFileSync(
    resources,
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'astray', namespace: 'default' },
      spec,
    }),
  );
  const { stdout, stderr } = await world.run(
    `for url in https://api.example:${elsewhere.port}/ https://api.example:${port}/redirect http://astray.example:${port}/; do
       curl -sSL -o /dev/null -w "%{http_code}\\n" $url; done`,
    {
      entries: [
        { ports: [port], tls: { intercept: true, ...files } },
        { ports: [elsewhere.port], tls: { intercept: true, ...elsewhere.files } },
        { host: 'other.example', ports: [port], tls: { intercept: true, ca: files.ca } },
      ],
      options: [resources],
    },
  );
  assert.deepEqual([came, elsewhere.came], [[['/redirect', 'one']], []], stderr);
  assert.doesNotMatch(stdout, /200/);
});

test('what lacks its key, or cannot be kept from the command, is refused before anything runs', { skip }, async (t) => {
  const { world, port, files } = await askingServer(t, [makeCertificate('one')], 'api.example');
  for (const [wrong, options, expected] of [
    [{ privateKey: '/none/key.pem' }, [], /client certificate for api\.example: there is no \/none/],
    [{ privateKey: '/etc/ssl/key.pem' }, [], /client certificate for api\.example: .*\/etc\/ssl/],
    [{}, ['--would-deny'], /needs a policy that is enforced/],
  ] as const) {
    const { stdout, stderr } = await world.run('echo ran', {
      entries: [{ ports: [port], tls: { intercept: true, ...files, ...wrong } }],
      options,
    });
    assert.match(stderr, expected);
    assert.equal(stdout, '');
  }
});
