import { type Infer, object, required, string } from '../schema.ts';
import { objectReference } from './common.ts';

/** Which controller serves the Gateways of this class. */
export const gatewayClass = object({
  controllerName: required(string({ minLength: 1, maxLength: 253 })),
  description: string({ maxLength: 64 }),
  parametersRef: objectReference,
});
export type GatewayClass = Infer<typeof gatewayClass>;
