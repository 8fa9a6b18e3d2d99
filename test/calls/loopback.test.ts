/**
 * The call table through the embedded data plane, on a plain machine: a proxy of its own for each pod, on the loopback network that
 * stands for the lab's. `npm run test:lab` makes the same calls in real network namespaces.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needs } from '../integration/tools.ts';
import { loadCases } from './cases.ts';
import { check, differences } from './check.ts';
import { LoopbackNetwork } from './loopback/network.ts';
import { MESH } from './loopback/topology.ts';
import { merged } from './merged.ts';

const GROUPS = ['registry', 'egress', 'tls', 'tcp', 'http', 'lb', 'resilience', 'identity', 'policy', 'gwapi'];
const PROGRAM = join(import.meta.dirname, '../integration/sallyport.ts');

const cases = loadCases();

test('each listed difference names a call of the table and has a reason', () => {
  assert.deepEqual(differences.errors(cases), []);
});

/** `CALLS=REGEX` runs the cases whose `group/name` it matches. */
const chosen = cases.filter(({ group, name }) =>
  process.env.CALLS === undefined ? GROUPS.includes(group) : new RegExp(process.env.CALLS).test(`${group}/${name}`),
);

describe('the call table on loopback', {
  skip: process.platform === 'linux' ? needs('openssl') : 'needs Linux: all of 127/8 local',
}, () => {
  let network: LoopbackNetwork;
  let configFile: string;
  let meshFile: string;

  before(async () => {
    network = await LoopbackNetwork.start({
      command: (pod, { folder, fixed }) => {
        mkdirSync(join(folder, 'case'), { recursive: true });
        meshFile = join(folder, 'mesh.json');
        writeFileSync(meshFile, JSON.stringify(MESH));
        configFile = join(folder, 'case', 'case.yaml');
        const role = [
          '--role',
          pod.kind,
          '--workload',
          `${pod.namespace}/${pod.name}`,
          '--mesh-config',
          meshFile,
          '--ca',
          join(folder, 'ca'),
        ];
        return { script: PROGRAM, args: ['proxy', ...role, '--no-watch', '--concurrency', '1', fixed, join(folder, 'case')] };
      },
    });
    await network.ready();
  });
  after(() => network.close());

  for (const each of chosen) {
    test(`${each.group}: ${each.name}`, async (t) => {
      writeFileSync(configFile, each.config);
      writeFileSync(meshFile, JSON.stringify(merged(MESH, each.mesh ?? {})));
      await network.reload();
      for (const call of each.calls) await t.test(call.name, () => check((made) => network.perform(made), 'loopback', each, call));
    });
  }
});
