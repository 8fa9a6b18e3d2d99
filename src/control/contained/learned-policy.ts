/** The short list that allows what a command called: what `run --policy` reads. Pure. */
import { stringify } from 'yaml';
import { printable } from '../../lib/printable.ts';
import { parseAllowed } from '../../policy/allow.ts';
import { type Called, where } from './calls.ts';

/** The text of the list; undefined where nothing was reached, so that there is nothing to allow. */
export function learnedPolicy(called: readonly Called[], words: readonly string[]): string | undefined {
  const calls = called.filter(({ port }) => port !== 0);
  const reached = calls.filter(({ verdict, host }) => (verdict === 'allowed' || verdict === 'undeclared') && isHost(host));
  if (reached.length === 0) return undefined;
  const allow = [...Map.groupBy(reached, ({ host }) => host)].map(([host, same]) => {
    const commands = [...new Set(same.flatMap(({ by }) => (by ? [by.command] : [])))];
    return {
      host,
      ports: [...new Set(same.map(({ port }) => port))].sort((a, b) => a - b),
      ...(commands.length > 0 && { why: printable(`called by ${commands.sort().join(', ')}`) }),
    };
  });
  const left = calls.filter((one) => !reached.includes(one) && !reached.some(({ host, port }) => host === one.host && port === one.port));
  return [
    `# What "${oneLine(words.join(' '))}" reached. Look it through, and keep what is meant: sallyport run --policy THIS -- CMD`,
    ...left.map((one) => `# Left out, as it was not reached: ${oneLine(where(one.host, one.port))}`),
    stringify({ allow: allow.sort((a, b) => (a.host < b.host ? -1 : 1)) }),
  ].join('\n');
}

function isHost(host: string): boolean {
  try {
    parseAllowed(where(host, 1));
    return true;
  } catch {
    return false;
  }
}

function oneLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, ' ');
}
