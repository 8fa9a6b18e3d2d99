/** The table of verdicts: one policy, one list of calls, and every way in which the product decides on them, in a network namespace with an outside world. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import { snapshotFromText } from '../../src/config/memory.ts';
import { explain } from '../../src/prove/explain.ts';
import { simulateFiles } from '../../src/prove/simulated.ts';
import { parseTarget } from '../../src/simulate/call.ts';
import { PROGRAM } from '../integration/cli/program.ts';
import { meshConfigOf } from '../support/mesh.ts';
import { ALLOWED, CALLS, type Call, DIFFERENCES, EVALUATORS, type Evaluator } from './table.ts';
import {
  APPLICATIONS,
  asUser,
  type Client,
  client,
  DNS,
  ON_ENVOY,
  PROXY,
  type Results,
  results,
  skip,
  startUp,
  type World,
  world,
} from './world.ts';

/** By `run`, which has its own mesh. */
function byRun({ inside, list, policies }: World, how: Client): Promise<Results> {
  const options = ['--policy', list, ...ALLOWED.flatMap((each) => ['--allow', each])];
  return results([...inside, process.execPath, PROGRAM, 'run', ...options, policies, '--', ...client(how)]);
}

/** What `explain` says of each call, over the resources that the list stands for. */
function byExplain({ resources }: World): Results {
  const snapshot = snapshotFromText(readFileSync(resources, 'utf8'));
  const files = simulateFiles(snapshot, meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }));
  const verdictOn = ({ kind, host, port, method = 'GET', path = '', authority, sni }: Call) => {
    const headers = authority === undefined ? [] : [`host: ${authority}`];
    const url = `${kind}://${isIPv6(host) ? `[${host}]` : host}:${port}${path}`;
    const { outcome } = explain(files, parseTarget(url, { method, headers, serverName: sni, httpVersion: '1.1' }), {}).trace;
    return { upstream: 'reached', reply: 'refused', closed: 'refused', undecided: 'undecided' }[outcome.kind];
  };
  return Object.fromEntries(CALLS.map((call) => [call.name, verdictOn(call)]));
}

test('one policy has the same verdicts in run, in up, on a stock Envoy and in explain', { skip, timeout: 200_000 }, async (t) => {
  const given = await world(t);
  const { inside } = given;
  await startUp(t, given);
  await startUp(t, given, ...ON_ENVOY);
  const made: Readonly<Record<Evaluator, Results>> = {
    'run captured': await byRun(given, {}),
    'run proxy': await byRun(given, { proxy: PROXY }),
    'up captured': await results([...inside, ...asUser(APPLICATIONS.embedded), ...client({ resolver: DNS })]),
    'up proxy': await results([...inside, ...client({ proxy: PROXY })]),
    envoy: await results([...inside, ...asUser(APPLICATIONS.envoy), ...client({ resolver: DNS })]),
    explain: byExplain(given),
  };
  assert.ok(CALLS.length >= 25);
  const others = EVALUATORS.flatMap((evaluator) =>
    CALLS.filter(({ name, verdict }) => made[evaluator][name] !== verdict).map(({ name }) => `${evaluator}: ${name}`),
  );
  const listed = DIFFERENCES.flatMap(({ evaluators, calls }) => evaluators.flatMap((each) => calls.map((name) => `${each}: ${name}`)));
  assert.deepEqual(others.sort(), listed.sort());
  const opposite = { reached: 'refused', refused: 'reached' };
  for (const { evaluators, calls } of DIFFERENCES)
    for (const { name, verdict } of CALLS.filter((call) => calls.includes(call.name)))
      for (const each of evaluators) assert.equal(made[each][name], opposite[verdict], `${each}: ${name}`);
});
