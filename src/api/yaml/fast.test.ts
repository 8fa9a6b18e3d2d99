import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitDocuments } from './documents.ts';
import { LEFT_ALONE, parseFast } from './fast.ts';
import { parseCompletely } from './parse.ts';

/** What the fast parser accepts must mean the same to the complete one. */
function agrees(text: string): boolean {
  const fast = parseFast(text);
  if (fast === LEFT_ALONE) return false;
  let complete: unknown;
  try {
    // An empty document is null; the complete parser refuses a text without any.
    complete = fast === null ? null : parseCompletely(text);
  } catch (error) {
    assert.fail(`accepted, though it is an error: ${String(error)}\n${text}`);
  }
  assert.deepEqual(fast, complete, text);
  return true;
}

const SAMPLE = `# a comment
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default, labels: {version: "1.10", 'it''s': x}}
spec:
  hosts: [a.example.com, "*.b.example.com"]   # another
  gateways:
  - mesh
  - istio-system/egress
  http:
  - match:
    - {gateways: [mesh], port: 80, headers: {x-tier: {exact: gold}}}
    - uri:
        prefix: /a#b
      ignoreUriCase: true
    route: [{destination: {host: a, port: {number: 80}},
             weight: 50}]
    timeout: 5s
    retries:
      attempts: -3
      retryOn: '5xx,reset'
    headers:

      request:
        set:
          a: "x \\"y\\" \\\\ z"
          b: 10.0.0.1
          c: 0.5
          d: ~
          e:
  tcp:
  - - 1
    - [1, 2.5, 1e3, .5, +4, 010, null, True, a:b, http://c/d, -x]
  -
    deep: {}
    80: STRICT
`;

test('a configuration is read, and as the complete parser reads it', () => {
  assert.ok(agrees(SAMPLE));
});

test('what it does not know it leaves alone', () => {
  const texts = {
    anchor: 'a: &x 1\nb: *x\n',
    tag: 'a: !!str 1\n',
    literal: 'a: |\n  b\n',
    'plain scalar over lines': 'a: b\n  c\n',
    'quoted scalar over lines': 'a: "b\n  c"\n',
    tab: 'a:\tb\n',
    'duplicate key': 'a: 1\na: 2\n',
    'duplicate key in flow': '{a: 1, a: 2}',
    merge: 'a:\n  <<: {b: 1}\n',
    prototype: '__proto__: {a: 1}\n',
    'not ASCII': 'a: é\n',
    'bad indentation': 'a:\n    b: 1\n  c: 2\n',
    'value behind a value': 'a: b: c\n',
    'flow not closed': 'a: [1, 2\nb: 3\n',
    'other base': 'a: 0x1f\n',
    'null key': '~: 1\n',
    'key that is written another way': '010: 1\n',
    'scalar document': 'abc',
    'comment without a space': 'a: "b"#c\n',
    'deep nesting': `${'['.repeat(200)}${']'.repeat(200)}`,
  };
  for (const [name, text] of Object.entries(texts)) assert.equal(parseFast(text), LEFT_ALONE, name);
});

test('lines taken out, doubled, moved and indented otherwise', () => {
  let accepted = 0;
  const lines = SAMPLE.split('\n');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(lines.length - 1), fc.integer({ min: -3, max: 3 }), fc.constantFrom('keep', 'drop', 'double', 'swap')), {
        maxLength: 6,
      }),
      (edits) => {
        const changed = [...lines];
        for (const [index, shift, edit] of edits) {
          const line = changed[index % changed.length] ?? '';
          const moved = shift < 0 ? line.replace(new RegExp(`^ {0,${-shift}}`), '') : ' '.repeat(shift) + line;
          if (edit === 'drop') changed.splice(index, 1);
          else if (edit === 'double') changed.splice(index, 0, moved);
          else if (edit === 'swap') changed.push(...changed.splice(index, 1));
          else changed[index] = moved;
        }
        if (agrees(changed.join('\n'))) accepted += 1;
      },
    ),
    { numRuns: 3000, seed: 1 },
  );
  assert.ok(accepted > 100, `only ${accepted} were accepted`);
});

test('characters put in, taken out and replaced', () => {
  let accepted = 0;
  const characters = [...' \n:-#,[]{}\'"\\?&*!|>%@`~.+019abxe=<_/'];
  fc.assert(
    fc.property(
      fc.constantFrom(...SAMPLE.split(/(?<=\n)(?=\S)/), SAMPLE),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...characters), fc.constantFrom(0, 1, 2)), { minLength: 1, maxLength: 4 }),
      (text, edits) => {
        let changed = text;
        for (const [place, character, removed] of edits) {
          const at = place % (changed.length + 1);
          changed = changed.slice(0, at) + (removed === 2 ? '' : character) + changed.slice(at + Math.min(removed, 1));
        }
        if (agrees(changed)) accepted += 1;
      },
    ),
    { numRuns: 20_000, seed: 1 },
  );
  assert.ok(accepted > 1000, `only ${accepted} were accepted`);
});

test('short texts of YAML’s own characters', () => {
  const piece = fc.constantFrom(
    'a',
    'b: ',
    'c:',
    '- ',
    '-',
    ' ',
    '  ',
    '\n',
    '\n  ',
    '\n- ',
    '{',
    '}',
    '[',
    ']',
    ', ',
    ',',
    ': ',
    ':',
    '#',
    ' #',
    '"',
    "'",
    '1',
    '.5',
    '~',
    'true',
    '?',
    '? ',
    '\\',
    '"a"',
    "'b'",
    '"c":',
    '0',
    '-1',
    '<<: ',
    '&a ',
    '*a',
    '!t ',
    '|',
    '>',
    '%',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      agrees(pieces.join(''));
    }),
    { numRuns: 60_000, seed: 1 },
  );
});

const CASES = new URL('../../../../shared/', import.meta.url);

test('real configurations agree', { skip: existsSync(CASES) ? false : `there is no ${CASES.pathname}` }, () => {
  let read = 0;
  let all = 0;
  for (const folder of ['calls/cases/', 'seeds/']) {
    for (const name of readdirSync(new URL(folder, CASES))) {
      if (!name.endsWith('.yaml')) continue;
      const text = readFileSync(new URL(folder + name, CASES), 'utf8');
      const whole = folder === 'seeds/' ? text : String((parseCompletely(text) as { config?: string }).config ?? '');
      for (const chunk of splitDocuments(whole)) {
        all += 1;
        if (agrees(chunk.text)) read += 1;
      }
    }
  }
  assert.ok(read > 0.9 * all, `${read} of ${all}`);
});
