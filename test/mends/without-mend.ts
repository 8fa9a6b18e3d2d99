/** Codes whose messages name no change of the configuration, each with the reason. */
import type { Code } from '../../src/analysis/messages.ts';
import type { DecodingCode } from '../../src/api/codes.ts';

export const WITHOUT_MEND: Readonly<Partial<Record<Code | DecodingCode, string>>> = {
  IST0001: 'A defect of Sallyport: no configuration has it.',
  SP0002: 'Of a file that cannot be read: the change is one of its permissions.',
  SP0003: 'Of the size of a file.',
  SP0004: 'Of the encoding of a file.',
  SP0006: 'Of kinds that are skipped: nothing is wrong with the object.',
  SP0010: 'Beside the finding that says what is broken, and only while something earlier is in force.',
  SP0016: 'Of permissions in a cluster.',
  SP1053: 'Of the engine that runs the proxies: nothing is wrong with the object.',
  SP1061: 'Of who carries the calls: nothing is wrong with the object.',
  SP0017: 'Of what a proxy would not take, in the proxy’s words.',
};
