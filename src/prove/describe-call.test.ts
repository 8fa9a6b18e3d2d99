import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Call, parseTarget, type TargetOptions } from '../simulate/call.ts';
import { describeCall } from './describe-call.ts';

/** What `explain` makes of the words: the call again. */
function readBack(text: string): Call {
  const words = [...text.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word!);
  const options: { headers: string[]; method?: string; serverName?: string } = { headers: [] };
  let url = '';
  let to: string | undefined;
  while (words.length > 0) {
    const word = words.shift()!;
    if (word === '-H') options.headers.push(words.shift()!);
    else if (word === '--sni') options.serverName = words.shift()!;
    else if (word === '--to') to = words.shift()!;
    else if (word.includes('://')) url = word;
    else options.method = word;
  }
  const { host, port, payload } = parseTarget(url, options);
  return { source: { ip: '10.0.0.1', port: 0 }, destination: { ip: to ?? host, port }, payload };
}

const cases: readonly (readonly [string, TargetOptions?])[] = [
  ['http://a.example:80/x?y=1', { method: 'POST', headers: ['x: 1', 'y: a b'] }],
  ['http://a.example:8080/'],
  ['https://a.example:8443/'],
  ['https://a.example:443/', { serverName: 'b.example' }],
  ['https://a.example:443/', { serverName: '' }],
  ['tls://a.example:443'],
  ['tls://203.0.113.1:443'],
  ['tcp://203.0.113.1:6379'],
];

for (const [url, options] of cases) {
  test(`${url} ${JSON.stringify(options ?? {})} is told so that explain takes it`, () => {
    const { port, payload } = parseTarget(url, options);
    const call: Call = { source: { ip: '10.0.0.1', port: 0 }, destination: { ip: '203.0.113.1', port }, payload };
    const back = readBack(describeCall(call));
    const expected = payload.http ? { ...payload, http: { ...payload.http, authority: new URL(url).host } } : payload;
    assert.deepEqual(back, { ...call, payload: expected }, describeCall(call));
  });
}

test('a CONNECT has an authority with a port for its target', () => {
  const connect = (url: string) => parseTarget(url, { method: 'CONNECT' }).payload.http;
  assert.deepEqual([connect('http://a.example/x')?.authority, connect('http://a.example/x')?.path], ['a.example:80', '']);
  assert.equal(connect('http://[2001:db8::1]:3128/')?.authority, '[2001:db8::1]:3128');
});
