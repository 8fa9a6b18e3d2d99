import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding } from '../lib/finding.ts';
import { findingJson } from '../lib/finding-form.ts';
import { githubCommands, sarif } from './finding-formats.ts';

const FINDINGS: readonly Finding[] = [
  {
    code: 'SP1001',
    level: 'Warning',
    message: '100% of it\nleaves',
    origin: { kind: 'ServiceEntry', namespace: 'default', name: 'www' },
    position: { file: 'a:b,c/egress.yaml', line: 3, column: 7 },
  },
  { code: 'IST0101', level: 'Error', message: 'nothing there', origin: { kind: 'VirtualService', namespace: 'default', name: 'v' } },
  {
    code: 'SP1022',
    level: 'Info',
    message: 'dead',
    origin: { kind: 'Gateway', namespace: 'default', name: 'g' },
    position: { file: 'g.yaml', line: 1, column: 1 },
  },
];

test('SARIF has a rule for each code, and a result with its place for each finding', () => {
  const log = JSON.parse(sarif(FINDINGS, '1.2.3', (code) => (code === 'SP1022' ? { name: 'DeadObject', summary: 'No use.' } : undefined)));
  assert.equal(log.version, '2.1.0');
  const [run] = log.runs;
  assert.deepEqual(run.tool.driver, {
    name: 'sallyport',
    version: '1.2.3',
    rules: [{ id: 'IST0101' }, { id: 'SP1001' }, { id: 'SP1022', name: 'DeadObject', shortDescription: { text: 'No use.' } }],
  });
  assert.deepEqual(run.results[0], {
    ruleId: 'SP1001',
    ruleIndex: 1,
    level: 'warning',
    message: { text: 'ServiceEntry default/www: 100% of it\nleaves' },
    locations: [{ physicalLocation: { artifactLocation: { uri: 'a:b,c/egress.yaml' }, region: { startLine: 3, startColumn: 7 } } }],
  });
  assert.deepEqual(
    run.results.map(({ level, locations }: { level: string; locations: unknown[] }) => [level, locations.length]),
    [
      ['warning', 1],
      ['error', 0],
      ['note', 1],
    ],
  );
});

test('SARIF has the change where one word mends a finding, and JSON too', () => {
  const finding: Finding = { ...FINDINGS[2]!, mend: { from: 'ww.example.com', to: 'www.example.com' } };
  const [result] = JSON.parse(sarif([finding], '1.2.3', () => undefined)).runs[0].results;
  assert.deepEqual(result.fixes, [
    {
      description: { text: 'Write www.example.com in place of ww.example.com.' },
      artifactChanges: [
        {
          artifactLocation: { uri: 'g.yaml' },
          replacements: [{ deletedRegion: { startLine: 1, startColumn: 1, endColumn: 15 }, insertedContent: { text: 'www.example.com' } }],
        },
      ],
    },
  ]);
  assert.deepEqual(findingJson(finding).mend, { from: 'ww.example.com', to: 'www.example.com' });
  const { position: _, ...placeless } = finding;
  assert.equal(JSON.parse(sarif([placeless], '1.2.3', () => undefined)).runs[0].results[0].fixes, undefined);
});

test('GitHub’s commands are one line each, with what would end a property or a line escaped', () => {
  assert.equal(
    githubCommands(FINDINGS),
    '::warning file=a%3Ab%2Cc/egress.yaml,line=3,col=7,title=SP1001 ServiceEntry default/www::100%25 of it%0Aleaves\n' +
      '::error title=IST0101 VirtualService default/v::nothing there\n' +
      '::notice file=g.yaml,line=1,col=1,title=SP1022 Gateway default/g::dead\n',
  );
});
