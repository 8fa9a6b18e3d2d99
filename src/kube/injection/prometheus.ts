/** Prometheus scrapes the agent, which has the metrics of the proxy and of the application (`prometheus.io/scrape`, `port`, `path`). */
import { SallyportError } from '../../lib/errors.ts';
import type { Annotations } from './annotations.ts';

const NAMES = { scrape: 'prometheus.io/scrape', port: 'prometheus.io/port', path: 'prometheus.io/path' } as const;
/** What serves here in place of the application; nobody scrapes these through the agent. */
const RESERVED: ReadonlySet<number> = new Set([15000, 15001, 15006, 15008, 15021, 15053, 15090]);

export interface MergedMetrics {
  readonly annotations: Annotations;
  /** What the pod said, as JSON, for Istio's agent; undefined if nothing. */
  readonly scraped: string | undefined;
  /** Where the application has its metrics; undefined if it has none. */
  readonly url: string | undefined;
}

/** Of a proxy that merges nothing: it is scraped where the pod says nothing of its application. @param port of the proxy */
export function proxyMetrics(annotations: Annotations, port: number): Annotations {
  if (Object.values(NAMES).some((name) => annotations[name] !== undefined)) return annotations;
  return { ...annotations, ...scrapedAt(port) };
}

function scrapedAt(port: number): Annotations {
  return { [NAMES.scrape]: 'true', [NAMES.port]: String(port), [NAMES.path]: '/stats/prometheus' };
}

/** Leaves a pod alone that says it is not to be scraped. @param port of the agent. Throws `injection-annotation`. */
export function mergeMetrics(annotations: Annotations, port: number): MergedMetrics {
  const own = Object.fromEntries(
    Object.entries(NAMES).flatMap(([field, name]) => (annotations[name] === undefined ? [] : [[field, annotations[name]]])),
  ) as { scrape?: string; port?: string; path?: string };
  if (own.scrape !== undefined && own.scrape.toLowerCase() !== 'true') return { annotations, scraped: undefined, url: undefined };
  if (own.port !== undefined) {
    const number = Number(own.port);
    if (!/^\d{1,5}$/.test(own.port) || number === 0 || number > 65_535 || RESERVED.has(number) || number === port)
      throw new SallyportError(
        'injection-annotation',
        `the annotation ${NAMES.port} says "${own.port}": it has to be a port of the application (the proxy's own are merged anyway)`,
      );
  }
  const path = own.path ?? '/metrics';
  return {
    annotations: { ...annotations, ...scrapedAt(port) },
    scraped: Object.keys(own).length > 0 ? JSON.stringify(own) : undefined,
    url:
      own.scrape !== undefined && own.port !== undefined
        ? `http://127.0.0.1:${own.port}${path.startsWith('/') ? '' : '/'}${path}`
        : undefined,
  };
}
