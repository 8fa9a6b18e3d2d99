/** What the chart's dashboards ask, asked of a real Prometheus: each metric and label has to be there, and each question has to be one. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeNode } from './node.ts';

const DASHBOARDS = join(import.meta.dirname, '../../deploy/chart/dashboards');
const AT = '10.250.0.1:9090';
const METRIC = /\b(?:istio|envoy|sallyport)_\w+/g;

/** What Prometheus reads, with the labels that its operator gives. */
export interface Target {
  readonly address: string;
  readonly path: '/metrics' | '/stats/prometheus';
  readonly namespace: string;
  readonly pod: string;
}

export interface Question {
  readonly panel: string;
  readonly expr: string;
}

/** Every panel's, with variables as they are at first. */
export function questions(): Question[] {
  return readdirSync(DASHBOARDS).flatMap((file) => {
    const { title, panels } = JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as Dashboard;
    return panels.flatMap((panel) => panel.targets.map(({ expr }) => ({ panel: `${title}, ${panel.title}`, expr: filledIn(expr) })));
  });
}

function filledIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '30s').replaceAll('$namespace', '.*').replaceAll('$gateways', '.*gateway.*');
}

/** Resolves when it serves. */
export async function startPrometheus(node: KubeNode, targets: readonly Target[]): Promise<void> {
  const folder = join(node.folder, 'prometheus');
  mkdirSync(folder);
  const configs = [...Map.groupBy(targets, ({ path }) => path)].map(([path, own]) => ({
    job_name: path,
    metrics_path: path,
    static_configs: own.map(({ address, namespace, pod }) => ({ targets: [address], labels: { namespace, pod } })),
  }));
  const file = join(folder, 'prometheus.yaml');
  writeFileSync(file, JSON.stringify({ global: { scrape_interval: '2s' }, scrape_configs: configs }));
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${AT}`];
  await node.outside('prometheus', args, /Server is ready to receive web requests/);
}

async function ask(node: KubeNode, query: string): Promise<readonly object[]> {
  const said = await node.ask('curl', '-sS', '--data-urlencode', `query=${query}`, `http://${AT}/api/v1/query`);
  const { status, error, data } = JSON.parse(said) as { status: string; error?: string; data?: { result: readonly object[] } };
  if (status !== 'success') throw new Error(`${query}: ${error}`);
  return data!.result;
}

/** The series that answer it. Rejects for what is no question. */
export const answers = async (node: KubeNode, { expr }: Question): Promise<number> => (await ask(node, expr)).length;

/** What the question names and is not there. */
export async function missing(node: KubeNode, { panel, expr }: Question): Promise<string[]> {
  const labels = [
    ...[...expr.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, name]) => name!),
    ...[...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/,\s*/)),
  ];
  const lacking: string[] = [];
  for (const metric of new Set(expr.match(METRIC)))
    for (const label of new Set(labels))
      if ((await ask(node, `count(${metric}{${label}!=""})`)).length === 0) lacking.push(`${panel}: ${metric} has no ${label}`);
  for (const metric of new Set(expr.match(METRIC)))
    if ((await ask(node, `count(${metric})`)).length === 0) lacking.push(`${panel}: there is no ${metric}`);
  return lacking;
}

interface Dashboard {
  readonly title: string;
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}
