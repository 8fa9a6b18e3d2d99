/** `sallyport convert`: Istio's egress resources as objects of the Kubernetes Gateway API, proved to do the same. */

import { Command } from 'commander';
import { readDocuments } from '../inputs/documents.ts';
import { convertDocuments } from '../prove/convert.ts';
import { conversionText, unexpressedLine } from '../report/conversion.ts';
import { EXIT } from './exit.ts';
import { choiceOption } from './options.ts';
import { printData, printError } from './print.ts';
import { addReadOptions, answerFrom, type ReadMeshOptions, readerHost } from './source-options.ts';

interface ConvertOptions extends ReadMeshOptions {
  readonly to: 'gateway-api';
}

export function convertCommand(): Command {
  const command = new Command('convert')
    .summary('Istio’s resources as Kubernetes Gateway API, proved to do the same')
    .description(
      'Prints the whole configuration with Gateways and VirtualServices as objects of the Kubernetes Gateway API. What that cannot express is listed on stderr and stays as it is. ' +
        'Then every call is made against both configurations by simulation: the exit code is 1 if one ends differently, and the call is shown.',
    )
    .argument('<path...>', 'files and folders with the configuration; - for stdin')
    .option('--to <api>', 'what to convert to', choiceOption('gateway-api'), 'gateway-api');
  return addReadOptions(command).action((paths: string[], options: ConvertOptions) =>
    answerFrom(async (reader) => {
      const { snapshot, documents } = await readDocuments(paths, options, readerHost.tell);
      const { mesh } = await reader.take(snapshot, options);
      reader.demandSound();
      const { text, unexpressed, converted, difference } = convertDocuments({ snapshot, documents }, mesh, options.namespace);
      printData(text);
      printError(unexpressed.map((each) => `${unexpressedLine(each)}\n`).join(''));
      printError(difference ? conversionText(difference, converted) : 'sallyport: nothing was converted: the output is the input\n');
      return difference && difference.changes.length + difference.undecided.length > 0 ? EXIT.findings : EXIT.fine;
    }),
  );
}
