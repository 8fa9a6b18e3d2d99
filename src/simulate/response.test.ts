import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Response } from './response.ts';

/** What is seen of a response after `change`, and after `configured` if that is given, which then comes first. */
function seen(status: number | undefined, change: (response: Response) => void, configured?: (response: Response) => void) {
  const response = new Response(status);
  if (configured) response.configured(() => configured(response));
  change(response);
  return response.seen();
}

test('of a server’s response only what configuration changes is told', () => {
  assert.deepEqual(
    seen(
      undefined,
      () => undefined,
      (response) => {
        response.append('x-added', '1');
        response.set('x-set', '2');
        response.remove('x-gone');
        response.remove('a-gone');
      },
    ),
    {
      status: undefined,
      headers: [
        { name: 'x-added', value: '1', how: 'added' },
        { name: 'x-set', value: '2', how: 'set' },
      ],
      removed: ['a-gone', 'x-gone'],
    },
  );
});

test('what proxies do by themselves is not told, and no more once they do it to what was configured', () => {
  const ownDoing = (response: Response) => {
    response.set('server', 'istio-envoy');
    response.append('x-more', '1');
    response.remove('keep-alive');
  };
  assert.deepEqual(seen(undefined, ownDoing), { status: undefined, headers: [], removed: [] });
  const configured = (response: Response) => response.set('server', 'mine');
  assert.deepEqual(seen(undefined, ownDoing, configured).headers, []);
});

test('configuration that comes after a proxy’s own doing is told', () => {
  const response = new Response(undefined);
  response.set('server', 'istio-envoy');
  response.remove('x-gone');
  response.configured(() => {
    response.set('server', 'mine');
    response.remove('x-gone');
  });
  assert.deepEqual(response.seen(), {
    status: undefined,
    headers: [{ name: 'server', value: 'mine', how: 'set' }],
    removed: ['x-gone'],
  });
});

test('a value that is added after one was set stands beside it', () => {
  const { headers } = seen(
    undefined,
    () => undefined,
    (response) => {
      response.set('x', '1');
      response.append('x', '2');
    },
  );
  assert.deepEqual(headers, [
    { name: 'x', value: '1', how: 'set' },
    { name: 'x', value: '2', how: 'added' },
  ]);
});

test('a proxy’s own answer has only what it was given', () => {
  const change = (response: Response) => {
    response.set('x', '1');
    response.remove('y');
  };
  assert.deepEqual(
    seen(503, () => undefined, change),
    { status: 503, headers: [{ name: 'x', value: '1', how: 'added' }], removed: [] },
  );
});
