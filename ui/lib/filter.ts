/** The filter of calls, as people write it: `verdict:refused host:*.example.com`. Its words and what they mean are those of `sallyport flows`. */
import { type FlowFilter, flowFilter, PARAMETERS } from '../../src/flows/filter.ts';

export interface ReadFilter {
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
