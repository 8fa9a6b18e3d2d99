import { object, required, string } from '../schema.ts';
import { objectReference } from './common.ts';

/** A domain and a path, as in istio.io/gateway-controller. */
const CONTROLLER = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;

/** Which controller serves the Gateways of this class. */
export const gatewayClass = object({
  controllerName: required(string({ minLength: 1, maxLength: 253, pattern: CONTROLLER })),
  description: string({ maxLength: 64 }),
  parametersRef: objectReference,
});
