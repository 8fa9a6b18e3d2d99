/**
 * What is captured of a pod, as an annotation of it: what a container runtime tells the node's CNI plugin of a pod is its annotations. A pod's author may
 * write it, too, so that it is read as strictly as anything from outside.
 */
import { isMapping } from '../../api/decode.ts';
import { type Listed, portList, type ReadList, rangeList } from './lists.ts';
import type { CaptureSettings } from './rules.ts';

export const CAPTURE_ANNOTATION = 'sallyport.dev/capture';

export type ReadCapture = { readonly settings: CaptureSettings } | { readonly problem: string };

const MOST_UID = 0xffff_fffe;
const LISTS = {
  includeOutboundRanges: [rangeList, 'or all'],
  excludeOutboundRanges: [rangeList, 'listed'],
  includeOutboundPorts: [portList, 'listed'],
  excludeOutboundPorts: [portList, 'listed'],
  includeInboundPorts: [portList, 'or all'],
  excludeInboundPorts: [portList, 'listed'],
} as const;

export function captureText(settings: CaptureSettings): string {
  return JSON.stringify(settings, (_key, value: unknown) => (Array.isArray(value) ? value.join(',') : value));
}

/** The problem is the end of a sentence that names the annotation. */
export function readCapture(text: string): ReadCapture {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    return { problem: 'is no JSON' };
  }
  if (!isMapping(said)) return { problem: 'is no JSON object' };
  const given = said;
  const problems: string[] = [];
  const number = (name: string, most: number): number => {
    const value = given[name];
    if (Number.isInteger(value) && Number(value) > 0 && Number(value) <= most) return Number(value);
    problems.push(`${name} has to be a whole number from 1 to ${most}`);
    return 0;
  };
  const list = <T extends Listed>(name: keyof typeof LISTS): T => {
    const [read, all] = LISTS[name];
    const value = given[name];
    const found: ReadList = typeof value === 'string' ? read(value, all) : { problem: 'it has to be a list as text' };
    if ('entries' in found) return found.entries as T;
    problems.push(`${name}: ${found.problem}`);
    return [] as readonly string[] as T;
  };
  const settings: CaptureSettings = {
    outboundPort: number('outboundPort', 65_535),
    inboundPort: number('inboundPort', 65_535),
    proxyUid: number('proxyUid', MOST_UID),
    dnsPort: given.dnsPort === undefined ? undefined : number('dnsPort', 65_535),
    includeOutboundRanges: list('includeOutboundRanges'),
    excludeOutboundRanges: list('excludeOutboundRanges'),
    includeOutboundPorts: list('includeOutboundPorts'),
    excludeOutboundPorts: list('excludeOutboundPorts'),
    includeInboundPorts: list('includeInboundPorts'),
    excludeInboundPorts: list('excludeInboundPorts'),
  };
  return problems.length > 0 ? { problem: problems.join('; ') } : { settings };
}
