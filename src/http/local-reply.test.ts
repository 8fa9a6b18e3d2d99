import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap } from './header-map.ts';
import { httpStatusOf, isGrpc, type LocalReply, localReply, replyHeaders } from './local-reply.ts';
import type { CompiledRoute } from './routes/model.ts';

test('a status of gRPC that nobody knows counts as 500, whatever the server calls it', () => {
  assert.deepEqual(
    ['0', '16', undefined, '99', 'constructor', 'toString'].map((status) => httpStatusOf(status)),
    [200, 401, 500, 500, 500, 500],
  );
});

const GRPC = new HeaderMap(['content-type', 'application/grpc']);

/** The reply as a line for each field, its status first and its body last. */
function reply(request: HeaderMap, answer: Partial<LocalReply>, headers?: HeaderMap): string[] {
  const made = localReply(request, { status: 503, body: '', details: 'd', ...answer }, headers);
  return [
    `${made.status}`,
    ...[...made.headers].map(([name, value]) => `${name}: ${value}`),
    ...(made.trailersOnly ? [] : [made.body.toString()]),
  ];
}

test('requests of gRPC are told by their type', () => {
  const types = ['application/grpc', 'application/grpc+proto', 'application/grpc-web', 'application/grp', 'text/plain'];
  assert.deepEqual(
    types.map((type) => isGrpc(new HeaderMap(['content-type', type]))),
    [true, true, false, false, false],
  );
  assert.equal(isGrpc(new HeaderMap()), false);
});

test('a reply has its text with its length and type, and none without one', () => {
  const request = new HeaderMap();
  assert.deepEqual(reply(request, { body: 'no: ä' }), ['503', 'content-length: 6', 'content-type: text/plain', 'no: ä']);
  assert.deepEqual(reply(request, { body: Buffer.from('hi') }), ['503', 'content-length: 2', 'content-type: text/plain', 'hi']);
  assert.deepEqual(reply(request, {}), ['503', '']);
  const own = new HeaderMap(['content-type', 'text/html', 'x', '1']);
  assert.deepEqual(reply(request, { body: 'a' }, own), ['503', 'content-type: text/html', 'x: 1', 'content-length: 1', 'a']);
  assert.deepEqual([...own].length, 2, 'what it was made of stays');
});

test('to gRPC a reply is a status with a message, of which only plain text is written as it is', () => {
  const status = (answer: Partial<LocalReply>) => reply(GRPC, answer).slice(2).join(' ');
  assert.deepEqual(reply(GRPC, { body: 'no' }), ['200', 'content-type: application/grpc', 'grpc-status: 14', 'grpc-message: no']);
  assert.equal(status({ body: 'a b~ 100%\x1f\x7f ä\n' }), 'grpc-status: 14 grpc-message: a b~ 100%25%1F%7F %C3%A4%0A');
  assert.deepEqual(
    [400, 401, 403, 404, 429, 502, 503, 504, 500].map((code) => status({ status: code })),
    [13, 16, 7, 12, 14, 14, 14, 14, 2].map((code) => `grpc-status: ${code}`),
  );
  assert.equal(status({ status: 429, grpcStatus: 8 }), 'grpc-status: 8');
});

test('a reply has what its route adds where it stands in the route’s place', () => {
  const adding = (name: string) => ({ apply: (headers: HeaderMap) => headers.append(name, '1') });
  const route = (kind: string) => ({ action: { kind }, responseMutations: adding('x-route') }) as unknown as CompiledRoute;
  const made = (ofRoute: LocalReply['ofRoute'], kind: string, headers?: HeaderMap) => {
    const answer = { status: 503, body: '', details: 'd', ofRoute, headers };
    const choice = { responseMutations: adding('x-cluster') } as never;
    return [...(replyHeaders(answer, route(kind), choice, {} as never) ?? [])].map(([name]) => name);
  };
  assert.deepEqual(made('forward', 'forward'), ['x-cluster', 'x-route']);
  assert.deepEqual(made('answer', 'direct', new HeaderMap(['x', '1'])), ['x', 'x-cluster', 'x-route']);
  for (const [ofRoute, kind] of [
    [undefined, 'forward'],
    ['forward', 'direct'],
    ['answer', 'forward'],
  ] as const)
    assert.deepEqual(made(ofRoute, kind, new HeaderMap(['x', '1'])), ['x']);
});
