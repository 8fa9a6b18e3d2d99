/** Our annotation of ServiceEntries with resolution DYNAMIC_DNS. */
import { parseRange } from '../lib/ip.ts';
import type { Metadata } from './resource.ts';

/**
 * Names that callers choose may lead anywhere. Public addresses are reached, others only in the ranges of this annotation: addresses and CIDR ranges,
 * separated by commas.
 */
export const PRIVATE_ADDRESSES = 'sallyport.dev/private-addresses';

/** The ranges of the annotation; what is none is left out. */
export function privateRanges(metadata: Pick<Metadata, 'annotations'>): readonly string[] {
  return rangesIn(metadata).filter((range) => parseRange(range));
}

/** What of the annotation is no range. */
export function wrongRanges(metadata: Pick<Metadata, 'annotations'>): readonly string[] {
  return rangesIn(metadata).filter((range) => !parseRange(range));
}

function rangesIn({ annotations }: Pick<Metadata, 'annotations'>): readonly string[] {
  const list = annotations[PRIVATE_ADDRESSES] ?? '';
  return list
    .split(',')
    .map((range) => range.trim())
    .filter((range) => range !== '');
}
