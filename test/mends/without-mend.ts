/** Codes whose messages name no change of the configuration, each with the reason. */
import type { Code } from '../../src/analysis/messages.ts';

export const WITHOUT_MEND: Readonly<Partial<Record<Code, string>>> = {
  IST0001: 'A defect of Sallyport: no configuration has it.',
  SP0101: 'Says of `up` which port it opens; `analyze` never does, and config/local-mesh.test.ts puts the Service beside the files.',
};
