/** Files that become objects elsewhere: templates of Helm's charts, patches of kustomizations. What stands in them is no object yet. */
import { basename, dirname, join, resolve } from 'node:path';
import { isMapping } from '../api/decode.ts';
import { splitDocuments } from '../api/yaml/documents.ts';
import { parseYaml } from '../api/yaml/parse.ts';

export const CHART = 'Chart.yaml';
const KUSTOMIZATIONS: ReadonlySet<string> = new Set(['kustomization.yaml', 'kustomization.yml']);

/** Whether a file is a template of a chart, or says what the chart is. @param charts the folders of charts */
export function isOfChart(file: string, charts: ReadonlySet<string>): boolean {
  let folder = dirname(file);
  if (charts.has(folder) && basename(file) === CHART) return true;
  while (folder !== dirname(folder)) {
    if (basename(folder) === 'templates' && charts.has(dirname(folder))) return true;
    folder = dirname(folder);
  }
  return false;
}

/** Whether a line has an action of a template, so that what is wrong with it may be right once it is rendered. */
export function hasAction(line: string): boolean {
  return line.includes('{{');
}

/** The files that kustomizations among the files apply as patches. */
export function patchesOf(files: readonly string[], text: (file: string) => string | undefined): Set<string> {
  const patches = new Set<string>();
  for (const file of files) {
    if (!KUSTOMIZATIONS.has(basename(file))) continue;
    for (const path of patchPaths(text(file) ?? '')) patches.add(resolve(join(dirname(file), path)));
  }
  return patches;
}

function patchPaths(text: string): string[] {
  return splitDocuments(text).flatMap((chunk) => {
    const parsed = parseYaml(chunk.text);
    if ('problem' in parsed || !isMapping(parsed.value)) return [];
    const { patches, patchesStrategicMerge, patchesJson6902 } = parsed.value;
    const named = [patches, patchesJson6902]
      .flatMap((list) => (Array.isArray(list) ? list : []))
      .map((item) => isMapping(item) && item.path);
    const direct = Array.isArray(patchesStrategicMerge) ? patchesStrategicMerge : [];
    return [...named, ...direct].filter((path): path is string => typeof path === 'string' && !path.includes('\n'));
  });
}

/** Whether a document is about an object at all, however broken: other YAML and JSON is none of the mesh's concern. */
export function isAboutObject(file: string, text: string, offset: number): boolean {
  const start = text.lastIndexOf('\n---', offset - 1);
  const end = text.indexOf('\n---', Math.max(offset, start + 1));
  const document = text.slice(Math.max(start, 0), end < 0 ? undefined : end);
  return file.endsWith('.json') || document.trimStart().startsWith('{')
    ? /"apiVersion"\s*:/.test(document)
    : /^apiVersion\s*:/m.test(document);
}
