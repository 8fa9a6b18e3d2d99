/** A config dump, as `/config_dump` of a proxy's admin address gives it: parsed JSON, so that extensions which are not known here stay what they are. */
import { messageOf, SallyportError } from '../../lib/errors.ts';

// biome-ignore lint/suspicious/noExplicitAny: the JSON of any xDS server
export type Json = any;

export interface Dump {
  /** With a list `configs`. */
  readonly dump: Json;
  /** The answer of `/clusters?format=json`, where a proxy runs: it knows the health of endpoints. */
  readonly states?: Json;
}

/** Parses a dump as Envoy, `sallyport` or `istioctl proxy-config all -o json` write it. Throws `no-config-dump`; `name` is what messages call it. */
export function parseDump(text: string, name: string): Dump {
  const fail = (why: string) => new SallyportError('no-config-dump', `${name} is no config dump: ${why}.`);
  let dump: Json;
  try {
    dump = JSON.parse(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (Array.isArray(dump?.cluster_statuses)) return { dump: { configs: [] }, states: dump };
  if (!Array.isArray(dump?.configs)) throw fail('it has no "configs"');
  return { dump: /"(?:dynamicListeners|dynamicActiveClusters|dynamicRouteConfigs)"/.test(text) ? snakeCase(dump) : dump };
}

/** The same with field names as protobuf has them: istioctl writes them in camel case. */
function snakeCase(value: Json): Json {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [
      /^[a-z]+(?:[A-Z][a-z0-9]*)+$/.test(key) ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : key,
      snakeCase(entry),
    ]),
  );
}
