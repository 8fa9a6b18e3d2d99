/** Values of options, checked. */

import { InvalidArgumentError, Option } from 'commander';
import { parseRange } from '../lib/ip.ts';
import type { SocketAddress } from '../lib/socket-address.ts';

/** An option that is `written` so where nobody gives it, and whose help says so. */
export function defaulted<T>(flags: string, description: string, parse: (text: string) => T, written: string): Option {
  return new Option(flags, description).argParser(parse).default(parse(written), written);
}

/** `at` is its default, as `127.0.0.1:15021`; a port alone means a port of that address. */
export function addressOption(flags: string, description: string, at: string): Option {
  return defaulted(flags, description, socketOption(at.slice(0, at.lastIndexOf(':'))), at);
}

/** `PORT` or `ADDRESS:PORT`; an IPv6 address in brackets. */
export function socketOption(fallback: string): (text: string) => SocketAddress {
  return (text) => {
    const match = /^(?:(?:\[([0-9a-fA-F:]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text);
    if (!match) throw new InvalidArgumentError('it is PORT or ADDRESS:PORT.');
    return { address: match[1] ?? match[2] ?? fallback, port: checkedPort(match[3]!) };
  };
}

export function portOption(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('it is a port number.');
  return checkedPort(text);
}

function checkedPort(text: string): number {
  const port = Number(text);
  if (port > 65_535) throw new InvalidArgumentError('ports end at 65535.');
  return port;
}

export function countOption(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('it is a whole number from 0 on.');
  return Number(text);
}

/** What a refusal makes of the exit code of `run` and `up`. @param what ends well otherwise */
export function failOnOption(what: string): Option {
  const description = `refused: end with exit code 1 where ${what} and a call was refused, or would be; or never`;
  return new Option('--fail-on <what>', description).argParser(choiceOption('never', 'refused')).default('never');
}

export const WOULD_DENY = ['--would-deny', 'let all calls through, and say which would be refused'] as const;

/** A duration as Istio and Envoy write it, in milliseconds: `500ms`, `30s`, `2m`, `1h`. */
export function durationOption(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (!match) throw new InvalidArgumentError('it is a duration such as 500ms, 30s, 2m or 1h.');
  return Number(match[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as 'ms' | 's' | 'm' | 'h'];
}

/** The parser of an option that has one of these values; completion reads them from it. */
export function choiceOption<T extends string>(...choices: readonly T[]): ((text: string) => T) & { readonly choices: readonly T[] } {
  const parse = (text: string) => {
    const found = choices.find((choice) => choice === text);
    if (!found) throw new InvalidArgumentError(`it is one of ${choices.join(', ')}.`);
    return found;
  };
  return Object.assign(parse, { choices });
}

/** What an option's value may be; empty where that is not a list. */
export function choicesOf({ parseArg }: Option): readonly string[] {
  return parseArg && 'choices' in parseArg ? (parseArg.choices as readonly string[]) : [];
}

export function namespacedNameOption(text: string): { namespace: string; name: string } {
  const match = /^([a-z0-9.-]+)\/([a-z0-9.-]+)$/.exec(text);
  if (!match) throw new InvalidArgumentError('it is NAMESPACE/NAME.');
  return { namespace: match[1]!, name: match[2]! };
}

/** A name of Kubernetes, e.g. of a namespace or a service account. */
export function kubeNameOption(text: string): string {
  if (!/^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError('it is a name of Kubernetes: a-z, 0-9, - and dots.');
  return text;
}

/** `key=value,key=value`. */
export function labelsOption(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of text.split(',').filter(Boolean)) {
    const match = /^([A-Za-z0-9][A-Za-z0-9./_-]*)=([A-Za-z0-9._-]*)$/.exec(pair);
    if (!match) throw new InvalidArgumentError('labels are KEY=VALUE,KEY=VALUE.');
    labels[match[1]!] = match[2]!;
  }
  return labels;
}

export function loopbackOption(text: string): string {
  if (!/^127(\.\d{1,3}){3}$/.test(text) || text.split('.').some((octet) => Number(octet) > 254)) {
    throw new InvalidArgumentError('it is an address of 127.0.0.0/8.');
  }
  return text;
}

/** For options that may be given more than once. */
export function repeatable(value: string, all: readonly string[]): string[] {
  return [...all, value];
}

/** Ranges of addresses, e.g. `10.0.0.0/8`, in an option that may be given more than once. */
export function rangesOption(value: string, all: readonly string[]): string[] {
  if (!parseRange(value)) throw new InvalidArgumentError('it is an address or a range, e.g. 10.0.0.0/8.');
  return repeatable(value, all);
}

/** `--exempt`, of a namespace for which `what` says what follows. */
export function exemptOption(what: string): Option {
  const parse = (value: string, all: readonly string[] = []) => (value === '' ? all : repeatable(kubeNameOption(value), all));
  return new Option('--exempt <namespace>', `${what} (repeatable; kube-system unless said otherwise, '' for none)`).argParser(parse);
}
