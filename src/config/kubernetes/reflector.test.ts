import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { ClusterAccess, Credentials } from './access.ts';
import { ApiClient } from './client.ts';
import { listObjects } from './list.ts';
import { reflect } from './reflector.ts';
import { fixedCredentials } from './static-credentials.ts';

/** What a server does that misbehaves in ways that a real one doesn't on demand: one step for each request. */
type Step = (response: ServerResponse, query: URLSearchParams, request: IncomingMessage) => void;

interface Served {
  readonly client: ApiClient;
  /** The queries of the requests that came. */
  readonly queries: URLSearchParams[];
}

async function serve(t: TestContext, steps: readonly Step[], credentials: Credentials = fixedCredentials({})): Promise<Served> {
  const queries: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    const query = new URL(request.url!, 'http://server').searchParams;
    const step = steps[queries.length];
    queries.push(query);
    // What is asked for beyond the last step waits.
    step?.(response, query, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const access: ClusterAccess = {
    name: 'test',
    server: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    namespace: undefined,
    tls: { ca: undefined, serverName: undefined, insecure: false },
    credentials,
    headers: [],
  };
  const client = new ApiClient(access);
  t.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, queries };
}

const object = (name: string, resourceVersion = '1') => ({ metadata: { name, resourceVersion } });
const page = (names: readonly string[], resourceVersion: string, next = ''): Step => {
  const body = { metadata: { resourceVersion, ...(next && { continue: next }) }, items: names.map((name) => object(name)) };
  return (response) => void response.end(JSON.stringify(body));
};
const status = (code: number, headers = {}): Step => {
  const body = JSON.stringify({ kind: 'Status', code, message: `status ${code}` });
  return (response) => void response.writeHead(code, headers).end(body);
};
const event = (type: string, name: string, resourceVersion: string) =>
  `${JSON.stringify({ type, object: object(name, resourceVersion) })}\n`;
const events = (...lines: readonly string[]): Step => {
  return (response) => {
    for (const line of lines) response.write(line);
  };
};
const ended = (...lines: readonly string[]): Step => {
  return (response) => void response.end(lines.join(''));
};
const cut = (...lines: readonly string[]): Step => {
  return (response) => {
    response.write(lines.join(''), () => response.destroy());
  };
};

async function listed(t: TestContext, steps: readonly Step[]) {
  const { client, queries } = await serve(t, steps);
  const names: string[] = [];
  const take = { object: (value: Record<string, unknown>) => void names.push(nameOf(value)), restarted: () => names.splice(0) };
  const pauses: number[] = [];
  const pause = async (ms: number) => void pauses.push(ms);
  const version = await listObjects(client, '/list', take, { limit: 2, pause });
  return { names, version, pauses, queries };
}

const nameOf = (value: Record<string, unknown>) => (value.metadata as { name: string }).name;

test('a list is read page by page', async (t) => {
  const { names, version, queries } = await listed(t, [page(['a', 'b'], '7', 'x'), page(['c'], '7')]);
  assert.deepEqual(names, ['a', 'b', 'c']);
  assert.equal(version, '7');
  assert.deepEqual(
    queries.map((query) => [query.get('limit'), query.get('continue')]),
    [
      ['2', null],
      ['2', 'x'],
    ],
  );
});

test('a page that expired starts the list anew, and what came before does not count', async (t) => {
  const steps = [page(['a', 'gone'], '7', 'x'), status(410), page(['a', 'b'], '9', 'y'), page(['c'], '9')];
  const { names, version } = await listed(t, steps);
  assert.deepEqual(names, ['a', 'b', 'c']);
  assert.equal(version, '9');
});

test('a list that never comes to an end is an error', async (t) => {
  const steps = Array.from({ length: 4 }, () => [page(['a'], '7', 'x'), status(410)]).flat();
  await assert.rejects(listed(t, steps), { code: 'cluster-expired' });
});

test('a busy server is asked again when it says', async (t) => {
  const { names, pauses } = await listed(t, [status(429, { 'retry-after': '2' }), status(503), page(['a'], '1')]);
  assert.deepEqual(names, ['a']);
  assert.deepEqual(pauses, [2000, 500]);
});

test('what is no list must not pass for an empty one', async (t) => {
  const answers: Step[] = [
    (response) => response.end('{}'),
    (response) => response.end('{"metadata":{"resourceVersion":"1"},"items":[1]}'),
    (response) => response.end('<html>'),
  ];
  for (const answer of answers) await assert.rejects(listed(t, [answer]), { code: 'cluster-answer-invalid' });
});

test('a token that is not taken is asked for anew, once', async (t) => {
  let renewed = 0;
  const credentials: Credentials = { ...fixedCredentials({}), renew: () => ++renewed === 1 };
  const { client } = await serve(t, [status(401), page(['a'], '1'), status(401)], credentials);
  await client.get('/list');
  await assert.rejects(client.get('/list'), { code: 'cluster-unauthorized' });
});

test('a server that says nothing is given up', async (t) => {
  const { client } = await serve(t, []);
  const impatient = new ApiClient(client.access, { silenceMs: 50 });
  t.after(() => impatient.close());
  await assert.rejects(impatient.get('/list'), { code: 'cluster-unreachable' });
});

/** What is told while a list is followed, until there is nothing more to be served. */
async function followed(t: TestContext, steps: readonly Step[], until: string) {
  const { client, queries } = await serve(t, steps);
  const abort = new AbortController();
  t.after(() => abort.abort());
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    const tell = (what: string) => {
      told.push(what);
      if (what === until) resolve();
    };
    const sink = {
      object: (value: Record<string, unknown>) => tell(`listed ${nameOf(value)}`),
      restarted: () => tell('list'),
      complete: () => tell('complete'),
      changed: (value: Record<string, unknown>) => tell(`changed ${nameOf(value)}`),
      deleted: (value: Record<string, unknown>) => tell(`deleted ${nameOf(value)}`),
      failed: (error: unknown) => tell(`failed ${(error as { code: string }).code}`),
      following: () => undefined,
    };
    void reflect(client, { path: '/list' }, sink, abort.signal, { first: 5, most: 20, lastsS: 60 });
  });
  abort.abort();
  return { told, versions: queries.map((query) => query.get('resourceVersion')) };
}

test('a watch goes on from the last event where the connection breaks off, and half a line is none', async (t) => {
  const half = event('ADDED', 'c', '5').slice(0, 30);
  const steps = [page(['a'], '3'), cut(event('ADDED', 'b', '4'), half), events(event('ADDED', 'c', '5'))];
  const { told, versions } = await followed(t, steps, 'changed c');
  assert.deepEqual(told, ['list', 'listed a', 'complete', 'changed b', 'failed cluster-unreachable', 'changed c']);
  assert.deepEqual(versions, [null, '3', '4']);
});

test('a watch that the server ends goes on from the last bookmark', async (t) => {
  const steps = [page([], '3'), ended(event('BOOKMARK', '', '8')), events(event('DELETED', 'a', '9'))];
  const { versions } = await followed(t, steps, 'deleted a');
  assert.deepEqual(versions, [null, '3', '8']);
});

test('a version that is too old has the list read anew', async (t) => {
  const error = `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old' } })}\n`;
  const steps = [page(['a'], '3'), ended(event('ADDED', 'b', '4'), error), page(['c'], '90'), events(event('ADDED', 'd', '91'))];
  const { told, versions } = await followed(t, steps, 'changed d');
  assert.deepEqual(told, ['list', 'listed a', 'complete', 'changed b', 'list', 'listed c', 'complete', 'changed d']);
  assert.deepEqual(versions, [null, '3', null, '90']);
});

test('an event that can not be read may have been any: the list is read anew', async (t) => {
  for (const line of ['{"type":"MODIFIED","object":\n', '{"type":"NEWS","object":{"metadata":{"resourceVersion":"4"}}}\n', '[]\n']) {
    const steps = [page(['a'], '3'), events(line), page(['b'], '5')];
    const { told } = await followed(t, steps, 'listed b');
    assert.deepEqual(told.slice(0, 6), ['list', 'listed a', 'complete', 'failed cluster-answer-invalid', 'list', 'listed b']);
  }
});

test('events that come in pieces are put together, characters of several bytes too', async (t) => {
  const bytes = Buffer.from(event('ADDED', 'ä', '4'));
  const pieces: Step = (response) => {
    const send = (at: number) => {
      if (at < bytes.length) response.write(bytes.subarray(at, at + 1), () => send(at + 1));
    };
    send(0);
  };
  const { told } = await followed(t, [page([], '3'), pieces], 'changed ä');
  assert.deepEqual(told.at(-1), 'changed ä');
});

test('what may not be read is told of, and asked for again', async (t) => {
  const { told } = await followed(t, [status(403), page(['a'], '3')], 'listed a');
  assert.deepEqual(told.slice(0, 4), ['list', 'failed cluster-forbidden', 'list', 'listed a']);
});
