import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../lib/finding.ts';
import { findingJson, sortFindings } from '../lib/finding-form.ts';
import { findingsText, findingText } from './findings.ts';
import { plain } from './paint.ts';

const readLine = () => undefined;

const finding: Finding = {
  code: 'IST0101',
  level: 'Error',
  message: 'Referenced host not found: "reviewz"',
  origin: { kind: 'VirtualService', namespace: 'default', name: 'reviews' },
  position: { file: 'egress.yaml', line: 12, column: 11 },
};

test('text names the place and underlines it in the source', () => {
  const text = findingText(finding, plain, () => '    host: reviewz # the wrong one');
  assert.equal(
    text,
    'Error [IST0101] VirtualService default/reviews (egress.yaml:12:11)\n' +
      '  Referenced host not found: "reviewz"\n' +
      '  12 |     host: reviewz # the wrong one\n' +
      '     |           ^^^^^^^\n',
  );
});

test('text does without the source where it cannot be read', () => {
  assert.ok(!findingText(finding, plain, () => undefined).includes('^'));
});

test('the form for programs has the reference and the page of an Istio code', () => {
  assert.deepEqual(findingJson(finding), {
    code: 'IST0101',
    level: 'Error',
    message: 'Referenced host not found: "reviewz"',
    origin: 'VirtualService default/reviews',
    reference: 'egress.yaml:12:11',
    documentationUrl: 'https://istio.io/latest/docs/reference/config/analysis/ist0101/',
  });
});

test('errors come first and nothing twice', () => {
  const warning: Finding = { ...finding, level: 'Warning', code: 'SP1001' };
  assert.deepEqual(
    sortFindings([warning, finding, { ...finding }]).map(({ level }) => level),
    ['Error', 'Warning'],
  );
});

test('json and yaml hold the same', async () => {
  const { parse } = await import('yaml');
  const json = JSON.parse(await findingsText([finding], { output: 'json', paint: plain, readLine }));
  assert.deepEqual(parse(await findingsText([finding], { output: 'yaml', paint: plain, readLine })), json);
});

test('of many alike the first are shown and the others counted, in text alone', async () => {
  const many = Array.from(
    { length: 100 },
    (_, i): Finding => ({ ...finding, level: 'Warning', origin: { kind: 'ServiceEntry', namespace: 'default', name: `s${100 + i}` } }),
  );
  const text = await findingsText([...many, finding], {
    output: 'text',
    paint: plain,
    readLine,
    brief: { most: 5, all: '--all shows them' },
  });
  assert.equal(text.match(/Referenced host/g)?.length, 6);
  assert.match(text, /Warning \[IST0101\] 95 more like these \(--all shows them\): ServiceEntry default\/s105, .* and 92 more\n$/);
  assert.equal(
    JSON.parse(await findingsText(many, { output: 'json', paint: plain, readLine, brief: { most: 5, all: '--all shows them' } })).length,
    100,
  );
  const seven = await findingsText(many.slice(0, 7), {
    output: 'text',
    paint: plain,
    readLine,
    brief: { most: 5, all: '--all shows them' },
  });
  assert.ok(!seven.includes('more like these'));
});
