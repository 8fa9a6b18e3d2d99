/** Rules of capture in the kernel, by the programs of iptables. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { codeOf, SallyportError } from '../lib/errors.ts';
import { type CaptureSettings, captureRules, type Family } from './capture/rules.ts';

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

/** Replaces what is there of ours at once. @throws SallyportError `capture-failed` */
export function writeRules(settings: CaptureSettings, family: Family): void {
  const { save, restore } = PROGRAMS[family];
  const present = run(save, [], '');
  run(restore, ['--noflush', '-w', WAIT_S], captureRules(settings, family, present));
}

function run(program: string, args: readonly string[], input: string): string {
  const { error, status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
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
}
