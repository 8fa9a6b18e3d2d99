/** Values that commands print: as they are, or in an ExecCredential that says when it ends. */
import { execFile } from 'node:child_process';
import { MARGIN_MS, MOST_BYTES, objectIn, type Reader, type Source, type Value } from '../../../lib/credential-value.ts';
import { FAILED_MS, failed, type Obtained, remembered } from '../../../lib/remembered.ts';
import type { SourceOptions } from './options.ts';

const COMMAND_TIMEOUT_MS = 30_000;

/** @param ttlMs for how long an output holds that does not say so itself */
export function commandSource(command: readonly string[], ttlMs: number, options: SourceOptions, read: Reader): Source {
  const { environment, now, date, signal } = options;
  const [program = '', ...rest] = command;
  const settings = { env: { ...environment }, timeout: COMMAND_TIMEOUT_MS, maxBuffer: MOST_BYTES, signal };
  return remembered((done) => {
    const fail = (error: Error) => done({ value: failure(program, error), lifeMs: FAILED_MS });
    try {
      const child = execFile(program, rest, settings, (error, output) => {
        if (error) fail(error);
        else done(outputOf(output, program, ttlMs, date(), read));
      });
      child.stdin?.end();
    } catch (error) {
      // Most of what the system refuses is thrown.
      fail(error as Error);
    }
  }, now);
}

/** Nothing of what the command printed: it may be the value, or a part of it. */
function failure(program: string, error: Error & { code?: unknown; killed?: boolean }): Value {
  if (error.killed) return { problem: `${program} took longer than ${COMMAND_TIMEOUT_MS / 1000} s` };
  return {
    problem: typeof error.code === 'number' ? `${program} ended with exit code ${error.code}` : `${program} cannot be run: ${error.code}`,
  };
}

/** As it is; where it says so, as an ExecCredential (client.authentication.k8s.io) or a `credential_process` does, with when it expires. */
function outputOf(output: string, program: string, ttlMs: number, date: number, read: Reader): Obtained {
  const where = `the output of ${program}`;
  const { kind, status, Expiration } = objectIn(output);
  const isExec = kind === 'ExecCredential';
  const { token, expirationTimestamp = undefined } = isExec ? ((status ?? {}) as Readonly<Record<string, unknown>>) : { token: output };
  if (typeof token !== 'string') return failed(`${where} is an ExecCredential without status.token`);
  const value = read(token, where);
  if ('problem' in value) return { value, lifeMs: FAILED_MS };
  const end = isExec ? expirationTimestamp : Expiration;
  if (end === undefined) return { value, lifeMs: ttlMs };
  const leftMs = Date.parse(String(end)) - date;
  if (!(leftMs > 0)) return failed(`${where} has expired`);
  return { value, lifeMs: Math.max(leftMs - MARGIN_MS, leftMs / 2) };
}
