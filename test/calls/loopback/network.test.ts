import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needs } from '../../integration/tools.ts';
import { type Case, loadCases } from '../cases.ts';
import { compare } from '../compare.ts';
import { LoopbackNetwork } from './network.ts';

describe('through proxies without any policy', {
  skip: process.platform === 'linux' ? needs('openssl') : 'needs Linux: all of 127/8 local',
}, () => {
  let network: LoopbackNetwork;
  const cases = loadCases();
  const caseOf = (name: string) => cases.find((each) => each.name === name)!;
  before(async () => {
    network = await LoopbackNetwork.start({ command: () => ({ script: join(import.meta.dirname, 'passthrough.ts'), args: [] }) });
    await network.listening();
  });
  after(() => network.close());

  async function differences(found: Case, name: string): Promise<string[]> {
    const call = found.calls.find((each) => each.name === name)!;
    // A proxy without access logs: who handled a call cannot be told.
    const got = await network.perform({ ...call, expect: { ...call.expect, hops: [] } });
    return compare(call, got, false)
      .filter((line) => !line.startsWith('via'))
      .map((line) => line.slice(0, 50));
  }

  test('what Istio lets pass unchanged agrees', async () => {
    assert.deepEqual(await differences(caseOf('registry-only'), 'declared tls'), []);
    assert.deepEqual(await differences(caseOf('registry-only'), 'no such name'), []);
    assert.deepEqual(await differences(caseOf('registry-only'), 'without sidecar nothing is refused'), []);
    assert.deepEqual(await differences(caseOf('tcp-vip'), 'ping'), []);
    assert.deepEqual(await differences(caseOf('tcp-vip'), 'set and get'), []);
  });

  test('what Istio refuses, routes or adds differs', async () => {
    assert.deepEqual(await differences(caseOf('registry-only'), 'undeclared tls'), [
      'outcome: expected "closed", got "answered"',
      'upstream: expected [], got [{"server":"api","port"',
    ]);
    assert.deepEqual(await differences(caseOf('registry-only'), 'declared'), [
      'upstream[0].headers.x-forwarded-proto: expected "h',
      'upstream[0].headers.connection: not expected, got ',
    ]);
    assert.deepEqual(await differences(caseOf('tcp-vip'), 'other address'), [
      'outcome: expected "closed", got "answered"',
      'upstream: expected [], got [{"server":"redis-a","p',
    ]);
  });
});
