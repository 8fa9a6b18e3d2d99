/** `allowed-endpoints` of step-security/harden-runner: host:port, separated by white space; alone, or in a workflow. Pure. */

import { parse } from 'yaml';
import { isMapping } from '../../api/decode.ts';
import type { ConvertedDestination, ConvertedList } from './forms.ts';
import { grouped, problemOf } from './read.ts';

export function readHardenRunner(text: string): ConvertedList {
  const left: string[] = [];
  const lists = listsIn(text, left);
  const to = lists.flatMap((list) =>
    list.split(/\s+/).flatMap((word): ConvertedDestination[] => {
      if (word === '') return [];
      const match = /^([^:]+)(?::(\d{1,5}))?$/.exec(word);
      if (!match) {
        left.push(`${word}: it is no HOST:PORT.`);
        return [];
      }
      // Without a port it is HTTPS alone, as its documentation says.
      const port = Number(match[2] ?? 443);
      const host = match[1]!.toLowerCase();
      const destination = {
        hosts: [host],
        ports: [port],
        ...(port === 80 ? {} : host.startsWith('*') || port === 443 ? { protocol: 'TLS' as const } : {}),
      };
      const problem = port < 1 || port > 65_535 ? 'ports are from 1 to 65535' : problemOf(host, destination);
      if (problem === undefined) return [destination];
      left.push(`${word}: ${problem}.`);
      return [];
    }),
  );
  return { policies: [{ name: 'ci', namespace: 'default', to: grouped(to), reason: 'from allowed-endpoints of harden-runner' }], left };
}

/** The text of each `allowed-endpoints` of a workflow; the whole text where it is a list alone. */
function listsIn(text: string, left: string[]): string[] {
  if (!/allowed-endpoints\s*:/.test(text)) return [text.replace(/^\s*#.*$/gm, '')];
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (isMapping(value)) {
      const endpoints = value['allowed-endpoints'];
      if (typeof endpoints === 'string') {
        found.push(endpoints);
        if (value['egress-policy'] !== 'block')
          left.push(`egress-policy: ${String(value['egress-policy'] ?? 'audit')} refuses nothing; the list is held to here.`);
      }
      Object.values(value).forEach(visit);
    }
  };
  visit(parse(text));
  return found;
}
