/** Values that commands print: as they are, or in an ExecCredential that says when it ends. */
import { execFile } from 'node:child_process';
import { FAILED_MS, type Obtained, remembered } from './remembered.ts';
import { MARGIN_MS, MOST_BYTES, type Source, type SourceOptions, type Value, valueOf } from './value.ts';

const COMMAND_TIMEOUT_MS = 30_000;

/** @param ttlMs for how long an output holds that does not say so itself */
export function commandSource(command: readonly string[], ttlMs: number, { environment, now, date, signal }: SourceOptions): Source {
  const [program = '', ...rest] = command;
  const settings = { env: { ...environment }, timeout: COMMAND_TIMEOUT_MS, maxBuffer: MOST_BYTES, signal };
  return remembered((done) => {
    const child = execFile(program, rest, settings, (error, output) => {
      done(error ? { value: failure(program, error), lifeMs: FAILED_MS } : outputOf(output, program, ttlMs, date()));
    });
    child.stdin?.end();
  }, now);
}

/** Nothing of what the command printed: it may be the value, or a part of it. */
function failure(program: string, error: Error & { code?: unknown; killed?: boolean }): Value {
  if (error.killed) return { problem: `${program} took longer than ${COMMAND_TIMEOUT_MS / 1000} s` };
  return {
    problem: typeof error.code === 'number' ? `${program} ended with exit code ${error.code}` : `${program} cannot be run: ${error.code}`,
  };
}

/** As it is, or what `status.token` of an ExecCredential is (client.authentication.k8s.io), with when it expires. */
function outputOf(output: string, program: string, ttlMs: number, date: number): Obtained {
  const where = `the output of ${program}`;
  const { kind, status } = objectIn(output);
  if (kind !== 'ExecCredential') return lived(valueOf(output, where), ttlMs);
  const { token, expirationTimestamp } = (status ?? {}) as { readonly token?: unknown; readonly expirationTimestamp?: unknown };
  if (typeof token !== 'string') return lived({ problem: `${where} is an ExecCredential without status.token` }, FAILED_MS);
  if (expirationTimestamp === undefined) return lived(valueOf(token, where), ttlMs);
  const leftMs = Date.parse(String(expirationTimestamp)) - date;
  if (!(leftMs > 0)) return lived({ problem: `${where} is a token that has expired` }, FAILED_MS);
  return { value: valueOf(token, where), lifeMs: Math.max(leftMs - MARGIN_MS, leftMs / 2) };
}

function lived(value: Value, lifeMs: number): Obtained {
  return { value, lifeMs: 'problem' in value ? FAILED_MS : lifeMs };
}

function objectIn(text: string): { readonly kind?: unknown; readonly status?: unknown } {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : {};
  } catch {
    return {};
  }
}
