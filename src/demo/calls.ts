/** What an example states about itself: the calls to make and what must come of them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SallyportError } from '../lib/errors.ts';
import { readRegularText } from '../lib/regular-file.ts';
import { parseYamlOrJson } from '../xds/yaml.ts';

const expectation = z.strictObject({
  /** `answered`: by an upstream, or by a proxy with what the resources ask for; `refused`: by a proxy. */
  outcome: z.enum(['answered', 'refused']),
  status: z.number().int().optional(),
  /** What the reply starts with (Redis). */
  reply: z.string().optional(),
  /** The proxies in order, and the host that the last one called. */
  path: z.array(z.string()),
  /** Part of the reason. */
  because: z.string(),
  /** The stand-in that was reached. */
  server: z.enum(['http', 'https', 'redis']).optional(),
});

const call = z
  .strictObject({
    name: z.string(),
    /** A URL; https is the application's own TLS. */
    get: z.string().optional(),
    /** SNI and Host in place of the URL's host. */
    serverName: z.string().optional(),
    /** Goes straight to this address (or router of that name) and port, as a client outside the mesh does. */
    at: z.string().optional(),
    /** `host:port` of a server that speaks Redis. */
    redis: z.string().optional(),
    send: z.string().optional(),
    expect: expectation,
  })
  .refine((value) => (value.get === undefined) !== (value.redis === undefined), 'a call has either get or redis');

const schema = z.strictObject({ about: z.string(), calls: z.array(call).min(1) });

export type Call = z.infer<typeof call>;

export interface Example {
  readonly name: string;
  readonly about: string;
  /** Its resources. */
  readonly folder: string;
  readonly calls: readonly Call[];
}

const SUFFIX = '.calls.yaml';

/** The examples of a folder by name: `NAME/` with resources and beside it `NAME.calls.yaml`. Throws `example-missing` or `example-invalid`. */
export function readExamples(folder: string, wanted: readonly string[]): Example[] {
  const names = readdirSync(folder)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new SallyportError('usage', `there is no example ${unknown}; there are ${names.join(', ')}.`);
  return names.filter((name) => wanted.length === 0 || wanted.includes(name)).map((name) => readExample(folder, name));
}

function readExample(folder: string, name: string): Example {
  const file = join(folder, `${name}${SUFFIX}`);
  const parsed = schema.safeParse(parseYamlOrJson(readRegularText(file), file));
  if (!parsed.success) throw new SallyportError('example-invalid', `${file}: ${z.prettifyError(parsed.error)}`);
  return { name, folder: join(folder, name), ...parsed.data };
}
