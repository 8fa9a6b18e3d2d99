/** Buckets of a local rate limit for the descriptors of requests. */
import { SallyportError } from '../../lib/errors.ts';
import type { LocalRateLimitDescriptor } from '../../xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.js';
import type { TokenBucket } from '../filters/filter.ts';
import type { DescriptorEntry } from './action.ts';
import type { Descriptor } from './policy.ts';

export interface DescriptorBucket {
  readonly bucket: TokenBucket;
  /** Requests beyond it go on all the same. */
  readonly shadow: boolean;
}

/** A bucket that is taken from, and how many tokens. */
export interface Taking extends DescriptorBucket {
  readonly wanted: number;
}

/** Makes a bucket of this configuration; `name` tells it from the limit's others. */
export type MakeBucket = (config: LocalRateLimitDescriptor['tokenBucket'], name: string, where: string) => TokenBucket;

/** As in Envoy. */
const MOST_VALUES = 20;

export class LocalDescriptors {
  readonly #exact = new Map<string, DescriptorBucket>();
  readonly #wildcards: Wildcard[] = [];
  readonly #all: (readonly [entries: string, bucket: DescriptorBucket])[] = [];

  /** Throws `xds-invalid`. `mostValues`: how many values a descriptor without one has at a time. */
  constructor(configs: readonly LocalRateLimitDescriptor[], mostValues: number | undefined, make: MakeBucket, where: string) {
    if (mostValues === 0) throw new SallyportError('xds-invalid', `${where}.max_dynamic_descriptors has to be at least 1`);
    for (const [index, { entries, tokenBucket, shadowMode: shadow }] of configs.entries()) {
      const at = `${where}.descriptors[${index}]`;
      if (entries.length === 0) throw new SallyportError('xds-invalid', `${at}: has no entries`);
      const bucketOf = (name: string) => ({ bucket: make(tokenBucket, name, `${at}.token_bucket`), shadow });
      const name = nameOf(entries);
      if (entries.some(({ value }) => value === '')) {
        // What is wrong with it is to be known before the first request.
        this.#all.push([textOf(entries), bucketOf('')]);
        this.#wildcards.push(new Wildcard(entries, (values) => bucketOf(`${index} ${values}`), mostValues ?? MOST_VALUES));
        continue;
      }
      if (this.#exact.has(name)) throw new SallyportError('xds-invalid', `${at}: another has the same entries`);
      const made = bucketOf(name);
      this.#exact.set(name, made);
      this.#all.push([textOf(entries), made]);
    }
  }

  /** What is taken for these descriptors, the bucket that fills slowest first. `dropped`: told of buckets that are given up for others. */
  takings(descriptors: readonly Descriptor[], dropped: (bucket: TokenBucket) => void): Taking[] {
    const takings: Taking[] = [];
    for (const { entries, hits } of descriptors) {
      const name = nameOf(entries);
      const found = this.#exact.get(name) ?? this.#wildcards.find((each) => each.matches(entries))?.of(name, dropped);
      if (found) takings.push({ ...found, wanted: hits === undefined ? 1 : Number(hits) });
    }
    return takings.sort((a, b) => b.bucket.perToken - a.bucket.perToken);
  }

  /** As clauses: what has which bucket. */
  texts(textOf: (bucket: TokenBucket) => string): string[] {
    return this.#all.map(([entries, { bucket, shadow }]) => `${textOf(bucket)}, with ${entries}${shadow ? ' (not enforced)' : ''}`);
  }
}

function nameOf(entries: readonly DescriptorEntry[]): string {
  return JSON.stringify(entries.map(({ key, value }) => [key, value]));
}

function textOf(entries: readonly DescriptorEntry[]): string {
  return entries.map(({ key, value }) => (value === '' ? `each value of ${key}` : `${key} ${value}`)).join(' and ');
}

/** A descriptor some of whose entries have any value: each of them has a bucket of its own, of so many at a time. */
class Wildcard {
  readonly #entries: readonly DescriptorEntry[];
  readonly #make: (values: string) => DescriptorBucket;
  readonly #most: number;
  /** The one that has been asked last comes last. */
  readonly #buckets = new Map<string, DescriptorBucket>();

  constructor(entries: readonly DescriptorEntry[], make: (values: string) => DescriptorBucket, most: number) {
    this.#entries = entries;
    this.#make = make;
    this.#most = most;
  }

  matches(entries: readonly DescriptorEntry[]): boolean {
    const own = this.#entries;
    return (
      entries.length === own.length &&
      own.every(({ key, value }, i) => key === entries[i]!.key && (value === '' || value === entries[i]!.value))
    );
  }

  of(values: string, dropped: (bucket: TokenBucket) => void): DescriptorBucket {
    const buckets = this.#buckets;
    const found = buckets.get(values) ?? this.#make(values);
    buckets.delete(values);
    buckets.set(values, found);
    if (buckets.size <= this.#most) return found;
    const [oldest, { bucket }] = buckets.entries().next().value!;
    buckets.delete(oldest);
    dropped(bucket);
    return found;
  }
}
