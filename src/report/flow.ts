/** A flow as one line for people. Pure. */

import type { Dropped, Flow, Verdict } from '../flows/flow.ts';
import { bracketed } from '../lib/socket-address.ts';
import type { Paint, Style } from './paint.ts';

const STYLES: Readonly<Record<Verdict, Style>> = { allowed: 'green', refused: 'red', failed: 'yellow' };
/** Columns grow no further than to these widths: what is longer moves the rest of its line. */
const CALLER = 24;
const CALLED = 44;

/** Time (of this machine), what happens, protocol, caller, what is called; at the end of a call what came of it. */
export function flowText(line: Flow | Dropped, paint: Paint): string {
  const time = paint('dim', clock(line.time));
  if (line.kind === 'dropped') return `${time}  ${paint('yellow', `${line.count} lines left out: this reader is too slow`)}`;
  const { verdict, protocol } = line;
  const state = verdict === undefined ? paint('dim', 'begins '.padEnd(8)) : paint(STYLES[verdict], verdict.padEnd(8));
  const start = `${time}  ${state}${protocol.padEnd(5)}${callerOf(line).padEnd(CALLER)}  → ${calledOf(line).padEnd(CALLED)}`;
  return `${start}  ${line.kind === 'begin' ? (line.cluster ?? '') : outcomeOf(line)}`.trimEnd();
}

/** Hours to milliseconds. */
function clock(time: string): string {
  const date = new Date(time);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

function callerOf({ process, role, proxy, source }: Flow): string {
  if (process) return `${process.name}[${process.pid}]`;
  return role === 'router' ? `gateway ${proxy}` : source;
}

function calledOf({ method, host, port, path, protocol }: Flow): string {
  if (protocol === 'dns') return host;
  const name = bracketed(host);
  return [...(method ? [method] : []), `${name}:${port}${path ?? ''}`].join(' ');
}

function outcomeOf({ verdict, reason, status, responseFlags, bytesSent = 0, bytesReceived = 0, duration = 0, gateway }: Flow): string {
  const parts = [
    ...(status === undefined ? [] : [String(status)]),
    `↑${size(bytesSent)} ↓${size(bytesReceived)}`,
    `${duration < 10 ? duration.toFixed(1) : Math.round(duration)} ms`,
    ...(gateway ? [`by gateway ${gateway}`] : []),
    ...(reason ? [reason] : []),
    ...(verdict === 'failed' && responseFlags ? [`(${responseFlags.join(',')})`] : []),
  ];
  return parts.join('  ');
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  if (bytes < 10_000_000) return `${Math.round(bytes / 1000)} kB`;
  return `${Math.round(bytes / 1_000_000)} MB`;
}
