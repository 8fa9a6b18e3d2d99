import { labelSelector } from './common.ts';
import { type Infer, integer, map, object, string } from './schema.ts';

/** Settings of the proxies themselves. */
export const proxyConfig = object({
  selector: labelSelector,
  /** Worker threads; 0: one a core. */
  concurrency: integer(0, 0x7fff_ffff),
  environmentVariables: map(string({ maxLength: 2048 })),
  image: object({ imageType: string() }),
});
export type ProxyConfig = Infer<typeof proxyConfig>;
