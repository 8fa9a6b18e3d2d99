import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finding, Level } from './finding.ts';
import { atLeast, findingJson, sortFindings } from './finding-form.ts';

const LEVELS: readonly Level[] = ['Error', 'Warning', 'Info'];

function finding(level: Level, at?: string, { code = 'SP1001', message = 'm', name = 'a' } = {}): Finding {
  const [file, line, column] = at?.split(':') ?? [];
  return {
    code: code as Finding['code'],
    level,
    message,
    origin: { kind: 'Gateway', namespace: 'default', name },
    ...(file !== undefined && { position: { file, line: Number(line), column: Number(column) } }),
  };
}

/** A few findings in their order, as they come out when they come in in any other. */
function assertInOrder(...findings: readonly Finding[]): void {
  assert.deepEqual(sortFindings(findings), findings);
  assert.deepEqual(sortFindings([...findings].reverse()), findings);
  assert.deepEqual(sortFindings([...findings.slice(1), findings[0]!]), findings);
}

test('errors come first, then warnings; each is as grave as itself', () => {
  assertInOrder(...LEVELS.map((level) => finding(level, 'a:1:1')));
  const grave = LEVELS.map((level) => LEVELS.map((threshold) => atLeast(level, threshold)));
  assert.deepEqual(grave, [
    [true, true, true],
    [false, true, true],
    [false, false, true],
  ]);
});

test('of one level the order is by place, what has none first, then by code, text and object', () => {
  assertInOrder(
    finding('Error'),
    finding('Error', 'a:1:2'),
    finding('Error', 'a:1:10'),
    finding('Error', 'a:2:1'),
    finding('Error', 'b:1:1', { code: 'IST0101', message: 'z' }),
    finding('Error', 'b:1:1', { message: 'a', name: 'z' }),
    finding('Error', 'b:1:1', { message: 'b', name: 'a' }),
    finding('Error', 'b:1:1', { message: 'b', name: 'b' }),
  );
  assertInOrder(finding('Error', undefined, { code: 'IST0101' }), finding('Error'));
});

test('the same is said once', () => {
  const twice = [finding('Error', 'a:1:1'), finding('Info', 'a:1:1'), finding('Error', 'a:1:1'), finding('Error', 'a:1:2')];
  assert.deepEqual(sortFindings(twice), [twice[0], twice[3], twice[1]]);
});

test('the form for programs has what the finding has', () => {
  const base = { code: 'SP1001', level: 'Error', message: 'm', origin: 'Gateway default/a' };
  assert.deepEqual(findingJson(finding('Error')), base);
  assert.deepEqual(findingJson(finding('Error', 'a.yaml:3:5')), { ...base, reference: 'a.yaml:3:5' });
  assert.equal(
    findingJson(finding('Error', undefined, { code: 'IST0101' })).documentationUrl,
    'https://istio.io/latest/docs/reference/config/analysis/ist0101/',
  );
  const mend = { from: 'x', to: 'y' };
  assert.deepEqual(findingJson({ ...finding('Error'), mend }), { ...base, mend });
});
