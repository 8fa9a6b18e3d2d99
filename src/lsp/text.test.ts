import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextLines, wordEnd } from './text.ts';

test('lines end with any of the three ends, and characters are UTF-16 code units', () => {
  const lines = new TextLines('a😀b\r\nc\rd\n\ne');
  const every = [...Array(lines.text.length + 1).keys()].map((offset) => {
    const { line, character } = lines.positionAt(offset);
    return `${line}:${character}`;
  });
  assert.deepEqual(every, ['0:0', '0:1', '0:2', '0:3', '0:4', '0:4', '1:0', '1:1', '2:0', '2:1', '3:0', '4:0', '4:1']);
});

test('what is beyond a line or the text is taken for its end', () => {
  const lines = new TextLines('ab\r\nc');
  assert.equal(lines.offsetAt({ line: 0, character: 99 }), 2);
  assert.equal(lines.offsetAt({ line: 1, character: 99 }), 5);
  assert.equal(lines.offsetAt({ line: 99, character: 0 }), 5);
  assert.equal(new TextLines('').offsetAt({ line: 0, character: 3 }), 0);
});

test('places of findings count lines by the line feed alone', () => {
  const lines = new TextLines('a\rb: x\r\nc: y');
  const offset = lines.offsetOfPlace({ line: 1, column: 6 });
  assert.equal(lines.text[offset], 'x');
  assert.deepEqual(lines.positionAt(offset), { line: 1, character: 3 });
  assert.equal(lines.text[lines.offsetOfPlace({ line: 2, column: 4 })], 'y');
  assert.equal(lines.offsetOfPlace({ line: 9, column: 1 }), lines.text.length);
});

test('a word ends with its key, its quotes, its line or its comment', () => {
  const word = (text: string) => text.slice(0, wordEnd(text, 0));
  assert.equal(word('hosts: [a]'), 'hosts');
  assert.equal(word('"a b" # c'), '"a b"');
  assert.equal(word("'open\nnext'"), "'open");
  assert.equal(word('a b # c'), 'a b');
  assert.equal(word('api.example.com, x]'), 'api.example.com');
  assert.equal(word('http://a:80/x\r\nb'), 'http://a:80/x');
});
