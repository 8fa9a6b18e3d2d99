import { type Infer, list, object, port, required, string, withDefault } from '../schema.ts';
import { objectReference, transportProtocol } from './common.ts';

const address = object({ ip: required(string()), hostname: string(), nodeName: string(), targetRef: objectReference });

export const endpoints = object({
  subsets: list(
    object({
      addresses: list(address),
      notReadyAddresses: list(address),
      ports: list(object({ name: withDefault(string(), ''), port: required(port()), protocol: transportProtocol, appProtocol: string() })),
    }),
  ),
});
export type Endpoints = Infer<typeof endpoints>;
