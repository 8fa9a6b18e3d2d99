import { type Infer, list, object, required, string, withDefault } from '../schema.ts';
import { GATEWAY_API, group, kindName, objectName } from './common.ts';
import { listener } from './gateway.ts';

/** Listeners beside those of a Gateway, whose proxies serve them. */
export const listenerSet = object({
  parentRef: required(
    object({
      group: withDefault(group(), GATEWAY_API),
      kind: withDefault(kindName(), 'Gateway'),
      name: required(objectName()),
      namespace: string({ minLength: 1, maxLength: 63, pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/ }),
    }),
  ),
  listeners: required(list(listener, { minItems: 1, maxItems: 64 })),
});
export type ListenerSet = Infer<typeof listenerSet>;
