/** Annotations by which a pod sets what is injected. One that cannot be read refuses the pod: what it was to keep in or out is not known. */
import { SallyportError } from '../../lib/errors.ts';
import { portList, type ReadList, rangeList } from '../capture/lists.ts';

export type Annotations = Readonly<Record<string, string>>;

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
]);
/** Of Kubernetes: `apimachinery/pkg/api/resource`. */
const QUANTITY = /^\d+(?:\.\d*)?(?:[munkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/;

function invalid(name: string, value: string, demand: string): SallyportError {
  return new SallyportError('injection-annotation', `the annotation ${name} says "${value}": ${demand}`);
}

export function booleanIn(annotations: Annotations, name: string): boolean | undefined {
  const text = annotations[name];
  if (text === undefined) return undefined;
  const value = BOOLEANS.get(text.toLowerCase());
  if (value === undefined) throw invalid(name, text, 'it has to be "true" or "false"');
  return value;
}

export function choiceIn<const T extends string>(annotations: Annotations, name: string, choices: readonly T[]): T | undefined {
  const text = annotations[name];
  if (text === undefined) return undefined;
  const value = choices.find((choice) => choice === text);
  if (value === undefined) throw invalid(name, text, `it has to be one of ${choices.join(', ')}`);
  return value;
}

/** From 0 on, at most `most`. */
export function wholeNumberIn(annotations: Annotations, name: string, most = 0xffff_ffff): number | undefined {
  const text = annotations[name];
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text) || Number(text) > most) throw invalid(name, text, `it has to be a whole number, at most ${most}`);
  return Number(text);
}

/** A quantity of Kubernetes, as `100m` or `128Mi`. */
export function quantityIn(annotations: Annotations, name: string): string | undefined {
  const text = annotations[name];
  if (text !== undefined && !QUANTITY.test(text)) throw invalid(name, text, 'it has to be a quantity, as 100m or 128Mi');
  return text;
}

/** As `portList`, in its plain spelling. */
export function portsIn(annotations: Annotations, name: string, all: 'or all' | 'listed'): string | undefined {
  return listIn(annotations, name, (text) => portList(text, all));
}

/** As `rangeList`, in its plain spelling. */
export function rangesIn(annotations: Annotations, name: string, all: 'or all' | 'listed'): string | undefined {
  return listIn(annotations, name, (text) => rangeList(text, all));
}

function listIn(annotations: Annotations, name: string, read: (text: string) => ReadList): string | undefined {
  const text = annotations[name];
  if (text === undefined) return undefined;
  const list = read(text);
  if ('problem' in list) throw invalid(name, text, list.problem);
  return list.entries === '*' ? '*' : list.entries.join(',');
}
