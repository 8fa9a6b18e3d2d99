import { list, object, required } from '../schema.ts';
import { group, kindName, namespaceName, objectName } from './common.ts';

/** Lets objects of other namespaces refer to objects of its own. */
export const referenceGrant = object({
  from: required(
    list(object({ group: required(group()), kind: required(kindName()), namespace: required(namespaceName()) }), {
      minItems: 1,
      maxItems: 16,
    }),
  ),
  to: required(list(object({ group: required(group()), kind: required(kindName()), name: objectName() }), { minItems: 1, maxItems: 16 })),
});
