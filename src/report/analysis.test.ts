import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../lib/finding.ts';
import { type AnalysisForm, analysisText, describeFinding } from './analysis.ts';
import { plain } from './paint.ts';

const finding: Finding = {
  code: 'IST0101',
  level: 'Error',
  message: 'Referenced host not found: "reviewz"',
  origin: { kind: 'VirtualService', namespace: 'default', name: 'reviews' },
};
const form = (part: Partial<AnalysisForm>): AnalysisForm => ({
  output: 'text',
  all: false,
  version: '1.2.3',
  paint: plain,
  readLine: () => undefined,
  ...part,
});

test('text ends with what was read and found; where nothing was found it says so', async () => {
  assert.equal(await analysisText([], 1, form({})), 'No findings: 1 object read.\n');
  assert.match(await analysisText([finding], 7, form({})), /\n1 errors, 0 warnings, 0 notes: 7 objects read\n$/);
});

test('many of one code are counted, unless all are asked for; other forms hold all and nothing else', async () => {
  const many = Array.from({ length: 20 }, (_, i): Finding => ({ ...finding, origin: { ...finding.origin, name: `r${i}` } }));
  assert.match(await analysisText(many, 1, form({})), /10 more like these \(--all shows them\)/);
  assert.doesNotMatch(await analysisText(many, 1, form({ all: true })), /more like these/);
  assert.equal(JSON.parse(await analysisText(many, 1, form({ output: 'json' }))).length, 20);
  assert.equal((await analysisText(many, 1, form({ output: 'github' }))).split('\n').length, 21);
});

test('SARIF has the rules of the catalogue, and none for a code that is in no catalogue', async () => {
  const log = JSON.parse(await analysisText([finding], 1, form({ output: 'sarif' })));
  assert.equal(log.runs[0].tool.driver.version, '1.2.3');
  assert.equal(log.runs[0].tool.driver.rules[0].name, 'ReferencedResourceNotFound');
  assert.equal(describeFinding('constructor'), undefined);
});
