// Generated ways out of `sallyport run`: `npm run attempts -- --count 100000 --seed 1`. Ends with 1 where anything came out that is not allowed.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { runWorlds } from '../test/attacks/attempts/run.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string', default: '0' },
    together: { type: 'string', default: '64' },
    worlds: { type: 'string', default: String(availableParallelism()) },
    unbound: { type: 'boolean', default: false },
  },
});
const numbers = [values.count, values.seed, values.first, values.together, values.worlds].map(Number);
const [count, seed, first, together, worlds] = numbers as [number, number, number, number, number];
const began = performance.now();
const { ways, leaks, leaked, missed, allowed, connections, questions, said, code } = await runWorlds(
  { count, seed, first, together, bound: !values.unbound },
  worlds,
);
for (const [what, times] of Object.entries(ways).sort(([, a], [, b]) => b - a)) console.log(`${String(times).padStart(9)}  ${what}`);
for (const leak of leaks) console.log(`LEAK ${leak.why}: ${JSON.stringify(leak.arrival)} ${JSON.stringify(leak.bytes)}`);
const seconds = (performance.now() - began) / 1000;
console.log(
  `${count} attempts of seed ${seed} in ${seconds.toFixed(0)} s (${(count / seconds).toFixed(0)} a second); ${connections} connections and ${questions} questions came outside, allowed: ${JSON.stringify(allowed)}`,
);
console.log(
  `${leaked} that are not allowed; came to nobody: ${missed.connections} connections, ${missed.datagrams} datagrams; credential said: ${said}`,
);
if (code !== 0 || leaked > 0 || missed.connections !== 0 || missed.datagrams !== 0 || said) process.exitCode = 1;
