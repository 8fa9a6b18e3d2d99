/** What lists are filtered by. The filter of calls has the words of `sallyport flows`, which mean what they do there: `verdict:refused host:*.example.com`. */
import { type FlowFilter, flowFilter, PARAMETERS } from '../../src/flows/filter.ts';

/** Whether each of the words stands in the text, whatever their case. */
export function hasWords(text: string, words: string): boolean {
  const all = text.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

interface ReadFilter {
  readonly fits: FlowFilter;
  /** What is wrong with it; empty where nothing is. */
  readonly problem: string;
}

/** A word without a name is a host, or a part of one. */
export function readFilter(text: string): ReadFilter {
  const query = new URLSearchParams();
  for (const word of text.trim().split(/\s+/)) {
    if (word === '') continue;
    const [, name, value] = /^([a-z]+)[:=](.*)$/.exec(word) ?? [];
    if (name !== undefined && (PARAMETERS as readonly string[]).includes(name)) query.append(name, value!);
    else query.append('host', word.includes('*') ? word : `*${word}*`);
  }
  try {
    return { fits: flowFilter(query), problem: '' };
  } catch (error) {
    return { fits: () => true, problem: (error as Error).message };
  }
}
