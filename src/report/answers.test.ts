import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { snapshotFromText } from '../config/memory.ts';
import { compare } from '../prove/diff.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { podText, WWW_ENTRY, WWW_THROUGH_GATEWAY } from '../prove/testing.ts';
import { verifyMesh } from '../prove/verify.ts';
import { comparisonReview, comparisonText } from './comparison.ts';
import { conversionText } from './conversion.ts';
import { descriptionText } from './description.ts';
import { plain } from './paint.ts';
import { describeBy, reviewText } from './review.ts';
import { tableText } from './table.ts';
import { verdictsReview, verdictsText } from './verdicts.ts';

const files = (text: string) => simulateFiles(snapshotFromText(text), meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
const POD = podText('cart', '10.0.0.1');
const THROUGH_GATEWAY = `${POD}${WWW_ENTRY}${WWW_THROUGH_GATEWAY}`;

test('workloads that go round their sidecars in one way are one sentence', () => {
  const text = (pods: string) => verdictsText(verifyMesh(files(pods), { adversary: 'bypassing', maxCells: 1 }), plain);
  assert.match(text(POD), /^REFUTED \(bypassing, 1 workload tried\): .*\n {2}default\/cart connects to /);
  assert.match(
    text(POD + podText('web', '10.0.0.2')),
    /^REFUTED \(bypassing, 2 workloads tried\): .*\n {2}default\/cart, default\/web connect to /,
  );
});

test('a refuted statement names who, what and how, with a call; as a finding it stands at the resource that decides', () => {
  const verdicts = verifyMesh(files(`${POD}${WWW_ENTRY}`), { adversary: 'captured', maxCells: 10_000 });
  const text = verdictsText(verdicts, plain);
  assert.match(
    text,
    /^REFUTED \(captured, \d+ calls tried\): .*\n {2}default\/cart: a call to www\.example\.com:80 .* \[ServiceEntry default\/www.*\]\n {6}e\.g\. /,
  );
  const { findings, describe } = verdictsReview(verdicts);
  const [refuted] = findings;
  assert.deepEqual(
    [refuted?.code, refuted?.level, refuted?.origin],
    ['refuted', 'Error', { kind: 'ServiceEntry', namespace: 'default', name: 'www' }],
  );
  assert.equal(describe('refuted')?.summary, 'Calls break the statement.');
});

test('a proved statement is no more than a note', () => {
  const verdicts = verifyMesh(files(THROUGH_GATEWAY), { adversary: 'captured', maxCells: 10_000 });
  assert.match(verdictsText(verdicts, plain), /^PROVED \(captured, /);
  assert.deepEqual(
    verdictsReview(verdicts).findings.flatMap(({ code, level }) => (code === 'proved' ? [level] : [])),
    ['Info'],
  );
});

test('ways round the sidecar say what closes them, where something does; what is undecided fails as well', () => {
  const verdicts = verifyMesh(files(THROUGH_GATEWAY), { adversary: 'bypassing', maxCells: 1 });
  assert.match(verdictsText(verdicts, plain), /sallyport netpol prints the policies that close this\.\n/);
  const [verdict] = verdicts;
  const review = verdictsReview([{ ...verdict!, openings: [], undecided: ['too many cells'] }]);
  assert.ok(review.findings.some(({ code, level, message }) => code === 'undecided' && level === 'Error' && message === 'too many cells'));
});

test('a comparison says which resource changes which calls; levels follow what fails it', () => {
  const widened = compare(files(THROUGH_GATEWAY), files(`${POD}${WWW_ENTRY}`));
  assert.match(comparisonText(widened, plain), /widens {2}.*www\.example\.com:80/);
  const levels = (fails: boolean) => new Set(comparisonReview(widened, () => fails).findings.map(({ level }) => level));
  assert.ok(levels(true).has('Error'));
  assert.ok(!levels(false).has('Error'));
  const same = compare(files(THROUGH_GATEWAY), files(THROUGH_GATEWAY));
  assert.equal(comparisonText(same, plain), 'No call changes its outcome.\n');
  const unsure = { ...same, undecided: ['who knows'] };
  assert.equal(comparisonText(unsure, plain), 'undecided: who knows\n');
  assert.deepEqual(
    comparisonReview(unsure, () => false).findings.map(({ code, level }) => `${code} ${level}`),
    ['undecided Error'],
  );
});

test('a conversion is proved, not proved, or refuted by a call', () => {
  const same = compare(files(THROUGH_GATEWAY), files(THROUGH_GATEWAY));
  assert.match(conversionText(same, 2), /^sallyport: proved: .*\(2 objects converted, \d+ calls compared\)\n$/);
  assert.match(conversionText({ ...same, undecided: ['who knows'] }, 2), /^sallyport: undecided: who knows\nsallyport: not proved, /);
  assert.match(
    conversionText(compare(files(THROUGH_GATEWAY), files(`${POD}${WWW_ENTRY}`)), 2),
    /sallyport: default\/cart: a call to www\.example\.com:80 .* before, it .*\n(?:.*\n)*sallyport: refuted: /,
  );
});

test('a description has each section, also one in which there is nothing', () => {
  const sections = [
    { heading: 'Sidecar', lines: [] },
    { heading: 'Services', lines: ['a', 'b'] },
  ];
  assert.equal(descriptionText({ subject: 'workload a/b', sections }), 'workload a/b\n\nSidecar\n  none\n\nServices\n  a\n  b\n');
});

test('columns of a table are as wide as their widest cell', () => {
  assert.equal(tableText({ columns: ['A', 'B'], rows: [['long', 'x']], empty: 'Nothing.' }), 'A        B\nlong     x\n');
  assert.equal(tableText({ columns: ['A'], rows: [], empty: 'Nothing.' }), 'Nothing.\n');
});

test('a code without a description stands for itself, whatever it is called', () => {
  const describe = describeBy({ known: 'What it means.' });
  assert.deepEqual(describe('constructor'), { name: 'constructor', summary: 'constructor' });
  const finding = { code: 'known', level: 'Error', message: 'm', origin: { kind: '', namespace: '', name: 'n' } } as const;
  const review = { findings: [finding], describe };
  assert.match(reviewText(review, 'sarif', '1'), /What it means\./);
  assert.match(reviewText(review, 'github', '1'), /^::error /);
  assert.match(reviewText(review, 'markdown', '1'), /^\| level \|/);
});
