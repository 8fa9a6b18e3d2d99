import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDuration } from './duration.ts';

test('the syntax of Go and of protobuf', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['0s', 0],
    ['10ms', 10],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1.s', 1000],
    ['1h30m', 5_400_000],
    ['1h1m1s1ms', 3_661_001],
    ['-2s', -2000],
    ['+2s', 2000],
    ['100us', 0.1],
    ['100µs', 0.1],
    ['1000000ns', 1],
    ['0.000000001s', 0.000001],
  ];
  for (const [text, milliseconds] of cases) assert.ok(Math.abs((parseDuration(text) ?? Number.NaN) - milliseconds) < 1e-9, text);
});

test('what is no duration', () => {
  for (const text of ['', '1', 's', '1 s', '1d', '1s ', '--1s', '1e3s', 'Infinitys', '.s'])
    assert.equal(parseDuration(text), undefined, text);
});

test('what is written is read', () => {
  for (const milliseconds of [0, 1, 250, 1000, 1500, 90_000, -500]) assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds);
});
