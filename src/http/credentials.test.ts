import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Redacted } from '../lib/redacted.ts';
import { type CredentialRule, readRules } from '../xds/match/credentials.ts';
import { concerns, hideCredentials, type Injected, leavesPlace, overriding, withCredentials } from './credentials.ts';
import { HeaderMap } from './header-map.ts';

function ruleOf(json: object): CredentialRule {
  const rules = readRules([{ name: 'c', ...json }] as never);
  assert.ok(rules !== 'broken');
  return rules[0]!;
}

function injected(json: object, value = 's3cret'): Injected {
  return { rule: ruleOf(json), value: new Redacted(Buffer.from(value)), host: 'api.example', policy: false };
}

const message = (path: string, ...flat: string[]) => ({ method: 'GET', authority: 'api.example', path, headers: new HeaderMap(flat) });

test('a place is the proxy’s where nothing stands there, or the placeholder, once or several times', () => {
  const bearer = ruleOf({ header: 'authorization', scheme: 'Bearer', placeholder: 'P' });
  const basic = ruleOf({ header: 'authorization', scheme: 'Basic', user: 'me', placeholder: 'P' });
  const query = ruleOf({ query: 'a key', placeholder: 'P Q' });
  for (const [rule, at, expected] of [
    [bearer, message('/'), true],
    [bearer, message('/', 'authorization', 'Bearer P'), true],
    [bearer, message('/', 'authorization', 'P'), true],
    [bearer, message('/', 'authorization', 'Bearer P', 'authorization', 'P'), true],
    [bearer, message('/', 'authorization', 'Bearer P', 'authorization', 'Bearer mine'), false],
    [bearer, message('/', 'authorization', ''), false],
    [basic, message('/', 'authorization', `Basic ${btoa('me:P')}`), true],
    [basic, message('/', 'authorization', `Basic ${btoa('you:P')}`), false],
    [query, message('/?a=1&a%20key=P+Q'), true],
    [query, message('/?a%20key=P%20Q&a+key=mine'), false],
    [query, message('/?b=2'), true],
    [ruleOf({ header: 'x' }), message('/', 'x', 'P'), false],
  ] as const)
    assert.equal(leavesPlace(rule, at), expected, `${rule.key} ${at.path} ${at.headers.flat}`);
});

test('the request that goes out has it, the one that came has not', () => {
  const came = message('/p?a=1&key=P&b=%2F#x', 'x-key', 'P', 'other', 'stays');
  const sent = withCredentials(
    came,
    [injected({ header: 'x-key', placeholder: 'P' }), injected({ query: 'key', placeholder: 'P' }, 'a&b=c d')],
    0,
  );
  assert.deepEqual([sent.path, sent.headers.flat], ['/p?a=1&b=%2F#x&key=a%26b%3Dc%20d', ['x-key', 's3cret', 'other', 'stays']]);
  assert.deepEqual([came.path, came.headers.flat], ['/p?a=1&key=P&b=%2F#x', ['x-key', 'P', 'other', 'stays']]);
});

test('whatever a client sends, its own token stays and the value is in no answer’s field', () => {
  const value = 'v4lue-Qm';
  const one = injected({ header: 'authorization', scheme: 'Bearer', placeholder: 'P' }, value);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('authorization', 'x'), fc.constantFrom('P', 'Bearer P', 'mine', 'Bearer mine')), { maxLength: 4 }),
      (fields) => {
        const came = message('/', ...fields.flat());
        const own = came.headers.all('authorization').filter((text) => text.includes('mine'));
        const { headers } = withCredentials(came, [one], 0);
        if (own.length > 0) assert.deepEqual(headers.all('authorization'), came.headers.all('authorization'));
        else assert.deepEqual(headers.all('authorization'), [`Bearer ${value}`]);
        const echoed = new HeaderMap([...headers.flat, 'location', `/?k=${encodeURIComponent(value)}`]);
        hideCredentials(echoed, [one]);
        assert.ok(!echoed.flat.join().includes(value));
      },
    ),
    { seed: 20 },
  );
});

test('a field of the answer tells no value, however it is written, nor does its name', () => {
  const value = 'Two words/7';
  const forms = [
    value,
    'Two%20words%2F7',
    'Two%20words%2f7',
    'Two+words%2F7',
    'Two+words%2f7',
    btoa(value),
    btoa(value).replace(/=+$/, ''),
  ];
  for (const form of forms) {
    const echoed = message('/', 'x-echo', `a ${form} b`, 'date', 'now').headers;
    hideCredentials(echoed, [injected({ header: 'x-key' }, value)]);
    assert.ok(!echoed.flat.join().includes(form.replace(/=+$/, '')), form);
    assert.equal(echoed.get('date'), 'now');
  }
  const named = message('/', 'x-s3cret-key', '1', 'date', 'now').headers;
  hideCredentials(named, [injected({ header: 'x-key' }, 'S3cret-Key')]);
  assert.deepEqual(named.flat, ['date', 'now']);
});

test('methods and paths say which requests are meant, whatever their query', () => {
  const rule = ruleOf({ header: 'x', methods: ['GET'], paths: ['/v1/*', '/one'] });
  const asked = (method: string, path: string) => concerns(rule, { method, path });
  assert.deepEqual(
    [asked('GET', '/v1/a?b'), asked('GET', '/one?x'), asked('GET', '/one/'), asked('POST', '/one'), asked('GET', '/?/v1/')],
    [true, true, false, false, false],
  );
});

test('a field by which a server may take another method or path is one too many where those are stated', () => {
  const rule = ruleOf({ header: 'x', methods: ['GET', 'POST'], paths: ['/v1/*'] });
  const found = (...flat: string[]) => overriding(rule, new HeaderMap(flat));
  assert.equal(found('x-http-method-override', 'DELETE'), 'x-http-method-override');
  assert.equal(found('x-http-method-override', 'GET', 'x-http-method-override', 'DELETE'), 'x-http-method-override');
  assert.equal(found('x-http-method-override', 'POST'), undefined);
  assert.equal(found('x-original-url', '/admin'), 'x-original-url');
  for (const name of ['x_original_url', 'x-amz-copy-source', 'x-ms-rename-source', 'destination'])
    assert.equal(found(name, '/admin'), name);
  assert.equal(found('x_http_method', 'DELETE'), 'x_http_method');
  assert.equal(found('x-amz-copy-source-if-match', 'x'), undefined);
  assert.equal(overriding(ruleOf({ header: 'x' }), new HeaderMap(['x-original-url', '/', 'x-http-method', 'PUT'])), undefined);
});

test('what is not understood closes', () => {
  for (const json of [
    'text',
    [1],
    [{}],
    [{ name: 'c' }],
    [{ name: 'c', header: 'X Y' }],
    [{ name: 'c', header: 'x', query: 'y' }],
    [{ name: 'c', header: 'x', scheme: 'Digest' }],
  ])
    assert.equal(readRules(json as never), 'broken', JSON.stringify(json));
});
