/** The change that a finding's message names, made in a configuration that has the finding, and what has come of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzeFiles } from '../../src/analysis/files.ts';
import type { Code } from '../../src/analysis/messages.ts';
import { TEST_DAY } from '../../src/analysis/testing.ts';
import type { DecodingCode } from '../../src/api/codes.ts';
import { snapshotFromText } from '../../src/config/memory.ts';
import { loadMeshNetworks } from '../../src/config/mesh-networks.ts';
import type { Finding } from '../../src/lib/finding.ts';
import { originText } from '../../src/lib/origin.ts';
import { explained, read, verified } from '../field/questions.ts';

/** A part of a text and what stands in its place afterwards. */
export type Change = readonly [from: string, to: string];

export interface Mend {
  readonly code: Code | DecodingCode;
  /** What tells this case from others of the code; a part of the test's name. */
  readonly of?: string;
  /** Has the finding. */
  readonly text: string;
  /** The words of the message that name the change. */
  readonly says: RegExp;
  readonly change?: readonly Change[];
  /** Documents that the change adds. */
  readonly add?: string;
  /** As `explain` takes it, and how it ends once the change is made; with `was`, how it ended before. */
  readonly call?: string;
  readonly was?: RegExp;
  readonly ends?: RegExp;
  /** Codes of new warnings that are true and about something else; the reason stands beside them. */
  readonly beside?: readonly Code[];
  /** Who says it, where it is not analysis. */
  readonly found?: (text: string) => readonly Finding[];
  /** The objects of another cluster, before and after. */
  readonly remote?: readonly [before: string, after: string];
}

/** Findings of calls that go round the gateway: afterwards `verify` knows of none to the hosts that are called. */
const LEAKS: ReadonlySet<string> = new Set(['SP1001', 'SP1002', 'SP1003', 'SP1004', 'SP1005', 'SP1006', 'SP1008']);

export function testMends(mends: readonly Mend[]): void {
  for (const mend of mends) test([mend.code, mend.of].filter(Boolean).join(' of '), () => checkMend(mend));
}

export function checkMend(mend: Mend): void {
  const { code, text, says, change = [], add = '', call, was, ends, beside = [], remote } = mend;
  const find = (of: string, elsewhere?: string) => mend.found?.(of) ?? findingsOf(of, elsewhere);
  const before = find(text, remote?.[0]);
  const found = before.filter((finding) => finding.code === code);
  assert.ok(found.length > 0, `${code} is among ${codesOf(before).join(', ')}`);
  assert.ok(
    found.some(({ message }) => says.test(message)),
    `no message says ${says}:\n${found.map(({ message }) => message).join('\n')}`,
  );
  for (const finding of before) if (finding.mend && !remote) checkOwnMend(text, finding, before, find);
  const after = changed(text, change) + (add && `\n---\n${add}`);
  assert.ok(after !== text || remote, 'something is changed');
  const left = find(after, remote?.[1]);
  assert.deepEqual(
    worse(left, (finding) => finding.code === code),
    [],
    `${code} is gone`,
  );
  const old = new Set(before.map(keyOf));
  const allowed = new Set<string>(beside);
  assert.deepEqual(
    worse(left, (finding) => finding.level !== 'Info' && !old.has(keyOf(finding)) && !allowed.has(finding.code)),
    [],
    'nothing worse has come',
  );
  if (call === undefined) return;
  if (was) assert.match(explained(read(text), call), was, 'before');
  assert.match(explained(read(after), call), ends!, 'afterwards');
  // What still goes round it is said by another finding then.
  if (!LEAKS.has(code) || beside.some((other) => LEAKS.has(other))) return;
  const { hostname } = new URL(call.split(' ').find((word) => word.includes('://'))!);
  const leaks = verified(read(after)).leaks.filter(({ called }) => called === hostname);
  assert.deepEqual(leaks, [], 'no call to the host goes round the gateway');
}

/** The change that a finding brings itself, made where the finding is: it is gone, and no error has come. */
function checkOwnMend(text: string, finding: Finding, before: readonly Finding[], find: (of: string) => readonly Finding[]): void {
  const { from, to } = finding.mend!;
  const { line, column } = finding.position!;
  const lines = text.split('\n');
  const written = lines[line - 1]!;
  assert.equal(written.slice(column - 1, column - 1 + from.length), from, `${from} stands at ${line}:${column}`);
  lines[line - 1] = written.slice(0, column - 1) + to + written.slice(column - 1 + from.length);
  const left = find(lines.join('\n'));
  const old = new Set(before.map(keyOf));
  assert.deepEqual(
    worse(left, (other) => (other.level === 'Error' && !old.has(keyOf(other))) || sameFinding(other, finding)),
    [],
    `${to} in place of ${from}`,
  );
}

function sameFinding(a: Finding, b: Finding): boolean {
  return a.code === b.code && a.message === b.message && a.position?.line === b.position?.line && a.position?.column === b.position?.column;
}

/** Makes the changes, each where its text stands first. */
export function changed(text: string, changes: readonly Change[]): string {
  return changes.reduce((result, [from, to]) => {
    assert.ok(result.includes(from), `the configuration has: ${from}`);
    return result.replace(from, () => to);
  }, text);
}

function findingsOf(text: string, remote?: string): Finding[] {
  const { snapshot, mesh, also } = read(text);
  const { networks: meshNetworks } = loadMeshNetworks(snapshot);
  const remoteClusters = new Map(remote === undefined ? [] : [['west', snapshotFromText(remote, { file: 'west.yaml' })] as const]);
  return analyzeFiles({ snapshot, mesh, meshNetworks, remoteClusters, defaultGateways: true, now: TEST_DAY }, { also, hints: true });
}

function keyOf({ code, origin }: Finding): string {
  return `${code} ${originText(origin)}`;
}

function codesOf(findings: readonly Finding[]): string[] {
  return [...new Set(findings.map(({ code }) => code))].sort();
}

function worse(findings: readonly Finding[], isWorse: (finding: Finding) => boolean): string[] {
  return findings.filter(isWorse).map((finding) => `${keyOf(finding)}: ${finding.message}`);
}
