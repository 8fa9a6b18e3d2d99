/** The options of commands that are audited. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Audit } from '../audit/audit.ts';
import type { OnFailure } from '../audit/log.ts';
import { SallyportError } from '../lib/errors.ts';
import { choiceOption, defaulted, durationOption } from './options.ts';
import { log } from './say.ts';

export interface AuditedOptions {
  readonly audit?: string;
  readonly auditKey?: string;
  readonly auditSignCommand?: string;
  readonly auditPublicKey?: string;
  readonly auditOnFailure: OnFailure;
  readonly auditRotateSize: number;
  readonly auditRotateEvery: number;
  readonly auditSignEvery: number;
  readonly auditPaths?: boolean;
}

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
  const { audit: folder, auditKey: key, auditSignCommand: command, auditPublicKey: publicKey } = options;
  if (folder === undefined) {
    if (key !== undefined || command !== undefined) throw new SallyportError('usage', 'say with --audit FOLDER where the audit goes.');
    return work(undefined);
  }
  if (engine !== 'embedded') throw new SallyportError('usage', '--audit needs the embedded engine: Envoy does not tell of its calls.');
  if (key !== undefined && command !== undefined)
    throw new SallyportError('usage', '--audit-key and --audit-sign-command are two ways to sign: leave one out.');
  const { Audit } = await import('../audit/audit.ts');
  const audit = await Audit.start(
    {
      folder,
      signer: { key, command, publicKey },
      onFailure: options.auditOnFailure,
      rotateBytes: options.auditRotateSize,
      rotateMs: options.auditRotateEvery,
      signEveryMs: options.auditSignEvery,
      paths: options.auditPaths ?? false,
    },
    log,
  );
  try {
    return await work(audit);
  } finally {
    await audit.close();
  }
}

/** Bytes: `500KiB`, `64MiB`, `1GiB`. */
function sizeOption(text: string): number {
  const match = /^(\d{1,9})(KiB|MiB|GiB)$/.exec(text);
  if (!match || Number(match[1]) === 0) throw new InvalidArgumentError('it is a size such as 500KiB, 64MiB or 1GiB.');
  return Number(match[1]) * { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }[match[2] as 'KiB' | 'MiB' | 'GiB'];
}
