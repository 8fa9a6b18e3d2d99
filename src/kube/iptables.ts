/** Rules of capture in the kernel, by the programs of iptables. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { codeOf, SallyportError } from '../lib/errors.ts';
import { type CaptureSettings, captureRules, type Family, missingRules } from './capture/rules.ts';

const PROGRAMS = {
  IPv4: { save: 'iptables-save', restore: 'iptables-restore' },
  IPv6: { save: 'ip6tables-save', restore: 'ip6tables-restore' },
} as const;
/** For another program that writes rules, s. */
const WAIT_S = '30';

/** Without it there is nothing to capture; with it there must not be a way out that is not. */
export function hasIpv6(): boolean {
  try {
    return readFileSync('/proc/net/if_inet6', 'utf8') !== '';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A program with its arguments and input; returns what it writes. @throws SallyportError `capture-failed` */
export type RunProgram = (program: string, args: readonly string[], input: string) => string;

/** Replaces what is there of ours at once. @param run in the network namespace that is meant; else in this process's. @throws SallyportError `capture-failed` */
export function writeRules(settings: CaptureSettings, family: Family, run: RunProgram = runHere): void {
  const { save, restore } = PROGRAMS[family];
  const present = run(save, [], '');
  run(restore, ['--noflush', '-w', WAIT_S], captureRules(settings, family, present));
}

/** As `missingRules`. @throws SallyportError `capture-failed` */
export function rulesMissingIn(settings: CaptureSettings, family: Family, run: RunProgram): string[] {
  return missingRules(settings, family, run(PROGRAMS[family].save, [], ''));
}

/** Runs programs in a way of the caller's. */
export function runWith(spawn: (program: string, args: readonly string[], input: string) => SpawnSyncReturns<string>): RunProgram {
  return (program, args, input) => {
    const { error, status, stdout, stderr } = spawn(program, args, input);
    if (error)
      throw new SallyportError(
        'capture-failed',
        codeOf(error) === 'ENOENT'
          ? `there is no ${program} on the PATH: install iptables, in the image of the init container`
          : `${program} cannot be run: ${error.message}`,
        { cause: error },
      );
    if (status !== 0)
      throw new SallyportError(
        'capture-failed',
        `${program} failed, and traffic may not be captured: ${stderr.trim() || `it ended with ${status}`} (it needs the capabilities NET_ADMIN and NET_RAW)`,
      );
    return stdout;
  };
}

const runHere = runWith((program, args, input) => spawnSync(program, args, { input, encoding: 'utf8' }));
