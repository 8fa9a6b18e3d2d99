/** The program that a container runtime starts on the node for each pod. What it needs stands beside it: a node has no Node.js, nor iptables. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaptureSettings, Family } from '../capture/rules.ts';
import { type RunProgram, rulesMissingIn, runWith, writeRules } from '../iptables.ts';
import { answer, type Capturing } from './protocol.ts';

const HERE = import.meta.dirname;
const LOADER = [join(HERE, 'ld.so'), '--library-path', join(HERE, 'lib')];
/** For all that one program does, ms: a runtime waits for minutes. */
const TIMEOUT_MS = 60_000;

/** Of the node: whether its kernel has IPv6. That a pod has no address of it now does not say that it will have none. */
const FAMILIES: readonly Family[] = existsSync('/proc/net/if_inet6') ? ['IPv4', 'IPv6'] : ['IPv4'];

function inside(netns: string): RunProgram {
  const entering = [...LOADER, join(HERE, 'nsenter'), `--net=${netns}`, ...LOADER, join(HERE, 'xtables-nft-multi')];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', XTABLES_LIBDIR: join(HERE, 'xtables') };
  return runWith((program, args, input) =>
    spawnSync(entering[0]!, [...entering.slice(1), program, ...args], { input, encoding: 'utf8', timeout: TIMEOUT_MS, env }),
  );
}

const capturing: Capturing = {
  write: (netns, settings) => {
    for (const family of FAMILIES) writeRules(settings, family, inside(netns));
  },
  missing: (netns, settings: CaptureSettings) => FAMILIES.flatMap((family) => rulesMissingIn(settings, family, inside(netns))),
};

const { stdout, failed } = answer(process.env, readFileSync(0, 'utf8'), capturing);
process.stdout.write(stdout);
process.exitCode = failed ? 1 : 0;
