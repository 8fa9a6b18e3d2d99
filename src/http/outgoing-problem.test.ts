import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Head } from './head.ts';
import { HeaderMap } from './header-map.ts';
import { fieldBytes, outgoingProblem } from './outgoing-problem.ts';

function head(fields: readonly string[], path = '/', authority = 'a.example', method = 'GET'): Head {
  return new Head('HTTP/1.1', method, authority, path, 'http', new HeaderMap([...fields]), 0, '', false, 0, undefined);
}

test('a head that can be sent has no problem', () => {
  assert.equal(outgoingProblem(head(['x-a', 'b c\td', 'x-b', fieldBytes('Zo\u00eb \u010d\u010a'), 'x-c', ''])), undefined);
});

test('what would begin another field, or another request, is a problem', () => {
  for (const value of ['a\r\nx-forged: 1', 'a\n', 'a\0', '\u010d\u010a', '\x7f'])
    assert.equal(outgoingProblem(head(['x-a', value])), 'invalid header value for: x-a');
  assert.equal(outgoingProblem(head(['x-a: b\r\nx', 'c'])), 'invalid header name: x-a: b\\r\\nx');
  assert.equal(outgoingProblem(head(['', 'c'])), 'invalid header name: ');
  for (const path of ['/a HTTP/1.1', '/a\r\n', '/\u010a']) assert.equal(outgoingProblem(head([], path)), 'invalid header value for: :path');
  assert.equal(outgoingProblem(head([], '/', 'a\r\nb')), 'invalid header value for: :authority');
  for (const method of ['', 'GET /']) assert.equal(outgoingProblem(head([], '/', 'a', method)), 'invalid header value for: :method');
});

test('texts are written as UTF-8', () => {
  assert.equal(Buffer.from(fieldBytes('Zo\u00eb'), 'latin1').toString('utf8'), 'Zo\u00eb');
});
