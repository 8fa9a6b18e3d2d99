import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PathStep } from '../resource.ts';
import { LEFT_ALONE, parseFast } from './fast.ts';
import { locate } from './locate.ts';
import { Positions } from './positions.ts';

/** Every path into a value, and for each one that leads nowhere. */
function paths(value: unknown, path: PathStep[] = []): PathStep[][] {
  const out = [path, [...path, 'nowhere'], [...path, 99]];
  if (Array.isArray(value)) for (const [i, item] of value.entries()) out.push(...paths(item, [...path, i]));
  else if (typeof value === 'object' && value !== null)
    for (const [name, item] of Object.entries(value)) out.push(...paths(item, [...path, name]));
  return out;
}

/** How many places were found, each where a complete reading finds it; undefined for a text that is not for the fast parser. */
function found(text: string): number | undefined {
  const value = parseFast(text);
  if (value === LEFT_ALONE || value === null) return undefined;
  const positions = new Positions(text);
  let count = 0;
  for (const path of paths(value)) {
    const place = locate(text, path);
    if (!place || path.length === 0) continue;
    count += 1;
    const wanted = { start: positions.value(path).start, key: positions.key(path) };
    assert.deepEqual({ start: place.start, key: place.key }, wanted, `${path.join('.')} of\n${text}`);
  }
  return count;
}

const SAMPLE = `# a comment
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default, labels: {version: "1.10", 'a: b': x, "c, d": 'it''s'}}
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
  -
    # behind the dash
    timeout: 5s
    "quoted": [[1, [2]], {a: {b: c}, d: [e]}]
    empty:
  - - 1
    - [1, 2.5]
  tls: []
  tcp: {}
  80: it's
`;

test('every place in a configuration is found without reading all of it', () => {
  assert.ok(found(SAMPLE)! > 100);
});

test('places are those of the complete reading, in whatever text the fast parser reads', () => {
  const lines = SAMPLE.split('\n');
  let accepted = 0;
  const edit = fc.tuple(fc.nat(), fc.integer({ min: -3, max: 3 }), fc.constantFrom('drop', 'double', 'shift'));
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 4 }), fc.nat(20), (edits, cut) => {
      const changed = lines.slice(cut);
      for (const [place, shift, what] of edits) {
        const index = place % changed.length;
        const line = changed[index]!;
        const moved = shift < 0 ? line.replace(new RegExp(`^ {0,${-shift}}`), '') : ' '.repeat(shift) + line;
        if (what === 'drop') changed.splice(index, 1);
        else if (what === 'double') changed.splice(index, 0, moved);
        else changed[index] = moved;
      }
      if (found(changed.join('\n')) !== undefined) accepted += 1;
    }),
    { numRuns: 2000, seed: 1 },
  );
  assert.ok(accepted > 100, `only ${accepted} were accepted`);
});

test('short texts of YAML’s own characters', () => {
  const piece = fc.constantFrom(
    'a: ',
    'b: ',
    'c:',
    '- ',
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
    '1',
    '"d": ',
    "'e'",
    ' # f',
    'x',
  );
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      if (found(pieces.join('')) !== undefined) accepted += 1;
    }),
    { numRuns: 40_000, seed: 1 },
  );
  assert.ok(accepted > 1000, `only ${accepted} were accepted`);
});
