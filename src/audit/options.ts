/** What a command line says of an audit. */
import { SallyportError } from '../lib/errors.ts';
import type { AuditOptions } from './audit.ts';
import type { OnFailure } from './log.ts';

/** As they are written on the command line. */
export interface AuditedOptions {
  readonly audit?: string;
  readonly auditKey?: string;
  readonly auditSignCommand?: string;
  readonly auditPublicKey?: string;
  /** The PATH by which that command is run; by that of this process where it is not said. No option. */
  readonly auditSignPath?: string;
  readonly auditOnFailure: OnFailure;
  readonly auditRotateSize: number;
  readonly auditRotateEvery: number;
  readonly auditSignEvery: number;
  readonly auditPaths?: boolean;
}

export const NEEDS_EMBEDDED =
  '--audit needs the embedded engine: Envoy goes on while nothing can be written, and what it tells of calls may be lost.';

/** Undefined where nothing is to be audited. Throws `usage` for options that contradict one another. */
export function auditAsked(options: AuditedOptions, engine: string): AuditOptions | undefined {
  const { audit: folder, auditKey: key, auditSignCommand: command, auditPublicKey: publicKey, auditSignPath: path } = options;
  if (folder === undefined) {
    if (key !== undefined || command !== undefined) throw new SallyportError('usage', 'say with --audit FOLDER where the audit goes.');
    return undefined;
  }
  if (engine !== 'embedded') throw new SallyportError('usage', NEEDS_EMBEDDED);
  if (key !== undefined && command !== undefined)
    throw new SallyportError('usage', '--audit-key and --audit-sign-command are two ways to sign: leave one out.');
  return {
    folder,
    signer: { key, command, publicKey, path },
    onFailure: options.auditOnFailure,
    rotateBytes: options.auditRotateSize,
    rotateMs: options.auditRotateEvery,
    signEveryMs: options.auditSignEvery,
    paths: options.auditPaths ?? false,
  };
}
