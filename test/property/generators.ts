/** What the generators of configurations share. */
import fc, { type Arbitrary } from 'fast-check';

/** Objects left out of a record rather than set to undefined, so that the YAML is short. */
export function some<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Partial<T>;
}

/** How often something is there: from one time in ten to four in five. */
const OFTEN = [0.1, 0.25, 0.5, 0.67, 0.8] as const;

/** fast-check shrinks towards what is not there. */
export function maybe<T>(arbitrary: Arbitrary<T>, often: 0 | 1 | 2 | 3 | 4 = 2): Arbitrary<T | undefined> {
  const there = OFTEN[often] * 100;
  return fc.oneof({ weight: 100 - there, arbitrary: fc.constant(undefined) }, { weight: there, arbitrary });
}

export function weighted<T>(...choices: readonly (readonly [number, T])[]): Arbitrary<T> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));
}

export interface Named {
  readonly namespace: string;
  readonly spec: object;
}

export function resources(kind: string, arbitrary: Arbitrary<Named>, constraints: fc.ArrayConstraints): Arbitrary<object[]> {
  return fc.array(arbitrary, constraints).map((list) =>
    list.map(({ namespace, spec }, i) => ({
      apiVersion: 'networking.istio.io/v1',
      kind,
      metadata: { name: `${kind.toLowerCase()}-${i}`, namespace },
      spec,
    })),
  );
}
