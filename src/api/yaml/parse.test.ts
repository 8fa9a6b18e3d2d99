import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseYaml } from './parse.ts';

const problemOf = (text: string) => {
  const parsed = parseYaml(text);
  return 'problem' in parsed ? parsed.problem : undefined;
};

test('a template is told from broken YAML, and where it begins to be one', () => {
  for (const text of ['{{- if .Values.x }}\na: b\n{{- end }}\n', 'a:\n  b: {{ .Values.b }}\n', 'hosts:\n  - {{ . }}\n']) {
    assert.match(problemOf(text) ?? '', /this is a template.*render it first/, text);
    const parsed = parseYaml(text);
    assert.equal('offset' in parsed && text.slice(parsed.offset, parsed.offset + 2), '{{');
  }
  assert.doesNotMatch(problemOf('a: "{{ x }}"\nb: [1, 2\n') ?? '', /template/);
  assert.equal(problemOf('a: "{{ x }}"\n'), undefined);
});
