/** Where the values of credentials come from: a file, a variable, a command. Each is asked at every call, and remembers what holds still. */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { codeOf, messageOf } from '../../../lib/errors.ts';
import { Redacted } from '../../../lib/redacted.ts';
import { readRegularFile } from '../../../lib/regular-file.ts';
import type { Injection } from '../../../policy/injection.ts';

/** A value, or why there is none: a clause that holds nothing of what was read. */
export type Value = Redacted | { readonly problem: string };

/** `done` is called once, possibly before it returns. */
export type Source = (done: (value: Value) => void) => void;

export interface SourceOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** Milliseconds since the epoch, by which outputs say when they expire. */
  readonly date: () => number;
  /** Ends commands that run. */
  readonly signal: AbortSignal;
}

export function sourceOf({ file, environment: variable, command, ttl }: Injection['from'], options: SourceOptions): Source {
  if (file !== undefined) return fileSource(file);
  if (variable !== undefined) {
    const value = variableValue(variable, options.environment[variable]);
    return (done) => done(value);
  }
  return commandSource(command, ttl ?? DEFAULT_TTL_MS, options);
}

const DEFAULT_TTL_MS = 5 * 60_000;
const MOST_BYTES = 64 * 1024;

function variableValue(name: string, text: string | undefined): Value {
  return text === undefined ? { problem: `the variable ${name} is not set` } : valueOf(text, `the variable ${name}`);
}

/** One line of printable ASCII, as header fields take it; a line end behind it is the editor's. */
function valueOf(text: string, where: string): Value {
  const value = text.replace(/\r?\n$/, '');
  if (value === '') return { problem: `${where} is empty` };
  if (!/^[\x20-\x7e]*$/.test(value)) return { problem: `${where} holds other characters than printable ASCII in one line` };
  return new Redacted(Buffer.from(value, 'latin1'));
}

/** Read anew when the file is another one, or has changed: a stat of a call costs microseconds. A file that is gone closes at once. */
function fileSource(path: string): Source {
  let known: { readonly mark: string; readonly value: Value } | undefined;
  return (done) => {
    try {
      const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
      const mark = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      if (known?.mark !== mark) {
        if (size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
        known = { mark, value: valueOf(readRegularFile(path).toString('utf8'), `the file ${path}`) };
      }
      done(known.value);
    } catch (error) {
      known = undefined;
      done({ problem: `the file ${path} cannot be read: ${codeOf(error) ?? messageOf(error)}` });
    }
  };
}

const COMMAND_TIMEOUT_MS = 30_000;
/** A token is not used in its last seconds: it could expire on its way. */
const MARGIN_MS = 10_000;
/** A command that fails is not run for each call. */
const FAILED_MS = 1000;

function commandSource(command: readonly string[], ttlMs: number, { environment, now, date, signal }: SourceOptions): Source {
  const [program = '', ...rest] = command;
  let known: { readonly value: Value; readonly until: number } | undefined;
  let waiting: ((value: Value) => void)[] | undefined;
  const run = () => {
    const settings = { env: { ...environment }, timeout: COMMAND_TIMEOUT_MS, maxBuffer: MOST_BYTES, signal };
    const child = execFile(program, rest, settings, (error, output) => {
      const { value, lifeMs } = error ? { value: failure(program, error), lifeMs: FAILED_MS } : outputOf(output, program, ttlMs, date());
      known = { value, until: now() + lifeMs };
      const asked = waiting!;
      waiting = undefined;
      for (const done of asked) done(value);
    });
    child.stdin?.end();
  };
  return (done) => {
    if (known && now() < known.until) {
      done(known.value);
      return;
    }
    if (waiting) {
      waiting.push(done);
      return;
    }
    waiting = [done];
    run();
  };
}

/** Nothing of what the command printed: it may be the value, or a part of it. */
function failure(program: string, error: Error & { code?: unknown; killed?: boolean }): Value {
  if (error.killed) return { problem: `${program} took longer than ${COMMAND_TIMEOUT_MS / 1000} s` };
  return {
    problem: typeof error.code === 'number' ? `${program} ended with exit code ${error.code}` : `${program} cannot be run: ${error.code}`,
  };
}

interface Output {
  readonly value: Value;
  readonly lifeMs: number;
}

/** As it is, or what `status.token` of an ExecCredential is (client.authentication.k8s.io), with when it expires. */
function outputOf(output: string, program: string, ttlMs: number, date: number): Output {
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

function lived(value: Value, lifeMs: number): Output {
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
