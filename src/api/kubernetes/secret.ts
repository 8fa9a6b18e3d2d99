import { Redacted } from '../../lib/redacted.ts';
import { booleanValue, bytes, type Infer, map, object, string, withDefault } from '../schema.ts';

export const secret = object(
  {
    type: withDefault(string(), 'Opaque'),
    /** Holds what `stringData` said as well. */
    data: map(bytes()),
    immutable: booleanValue(),
  },
  {
    old: { stringData: map(string()) },
    normalise: (value, old) => {
      if (!old.stringData) return;
      const data = { ...value.data };
      for (const [key, text] of Object.entries(old.stringData)) data[key] = new Redacted(new TextEncoder().encode(text));
      value.data = data;
    },
  },
);
export type Secret = Infer<typeof secret>;
