/** The options of commands that are audited. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Audit } from '../audit/audit.ts';
import { type AuditedOptions, auditAsked } from '../audit/options.ts';
import { choiceOption, defaulted, durationOption } from './options.ts';
import { log } from './say.ts';

export function addAuditOptions(command: Command): Command {
  return command
    .option('--audit <folder>', 'write every call and every change of configuration there, as lines that are chained and signed')
    .option('--audit-key <file>', 'Ed25519 private key that signs (PEM)')
    .option('--audit-sign-command <command>', 'signs in its place: gets the bytes on standard input and prints the signature in base64')
    .option('--audit-public-key <file>', 'public key of that command (PEM)')
    .option(
      '--audit-on-failure <what>',
      'while the audit cannot be written: refuse calls, or go-on without',
      choiceOption('refuse', 'go-on'),
      'refuse',
    )
    .addOption(defaulted('--audit-rotate-size <size>', 'begin another segment at this size', sizeOption, '64MiB'))
    .addOption(defaulted('--audit-rotate-every <duration>', 'and after this time', durationOption, '1h'))
    .addOption(defaulted('--audit-sign-every <duration>', 'sign what is there at least so often', durationOption, '1m'))
    .option('--audit-paths', 'with the paths of requests (without queries), which may hold secrets');
}

/** Around a command's work: the audit can be written before it begins, and is ended after it. */
export async function auditing<T>(options: AuditedOptions, engine: string, work: (audit: Audit | undefined) => Promise<T>): Promise<T> {
  const asked = auditAsked(options, engine);
  return asked ? (await import('../audit/audit.ts')).audited(asked, log, work) : work(undefined);
}

/** Bytes: `500KiB`, `64MiB`, `1GiB`. */
function sizeOption(text: string): number {
  const match = /^(\d{1,9})(KiB|MiB|GiB)$/.exec(text);
  if (!match || Number(match[1]) === 0) throw new InvalidArgumentError('it is a size such as 500KiB, 64MiB or 1GiB.');
  return Number(match[1]) * { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[match[2] as 'KiB' | 'MiB' | 'GiB'];
}
