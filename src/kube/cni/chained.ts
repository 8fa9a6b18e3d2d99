/**
 * The network configuration of a node with the plugin at its end. It is a file of its own, before the one that it is made of, which stays as it is: whoever
 * writes that anew takes nothing away meanwhile, and without ours the node is as it was.
 */
import { isMapping } from '../../api/decode.ts';

export const PLUGIN = 'sallyport-cni';

/** A runtime takes the first of its folder; before all that begin with two digits. */
export const CONF_FILE = `0-${PLUGIN}.conflist`;

/** What a runtime then passes to the plugin: containerd 1.5, CRI-O 1.29, or later. */
export const ANNOTATIONS = 'io.kubernetes.cri.pod-annotations';

const CONF = /\.(?:conf|conflist|json)$/;
/** What the plugin speaks: from 0.3.0 on it gets the result of the one before it. A node whose runtime calls it in another would start no pod at all. */
export const VERSIONS: readonly string[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** The one that holds where ours is not there, as a runtime chooses it; undefined for none. @param names of the folder's files */
export function primaryOf(names: readonly string[]): string | undefined {
  return sorted(names).find((name) => name !== CONF_FILE);
}

/** Which file a runtime takes though ours is there; undefined if it takes ours. */
export function beforeOurs(names: readonly string[]): string | undefined {
  const [first] = sorted([...names, CONF_FILE]);
  return first === CONF_FILE ? undefined : first;
}

/** By bytes, as Go sorts. */
function sorted(names: readonly string[]): string[] {
  return names.filter((name) => CONF.test(name)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** @param text of the configuration or list of configurations that is chained onto. The problem is the end of a sentence that names its file. */
export function chained(text: string): { readonly text: string } | { readonly problem: string } {
  let conf: unknown;
  try {
    conf = JSON.parse(text);
  } catch {
    return { problem: 'is no JSON (yet)' };
  }
  if (!isMapping(conf)) return { problem: 'is no network configuration' };
  const { cniVersion = '0.1.0', cniVersions, name } = conf;
  const unspoken = [cniVersion, ...(Array.isArray(cniVersions) ? cniVersions : [])].find((each) => !VERSIONS.includes(String(each)));
  if (unspoken !== undefined)
    return { problem: `has the cniVersion ${JSON.stringify(unspoken)}: the plugin is chained in ${VERSIONS.join(', ')}` };
  const plugins = conf.plugins ?? [conf];
  if (!Array.isArray(plugins) || plugins.length === 0) return { problem: 'lists no plugins' };
  const whole = conf.plugins === undefined ? { cniVersion, name } : conf;
  const others = plugins.filter((plugin) => !isMapping(plugin) || plugin.type !== PLUGIN);
  const own = { type: PLUGIN, capabilities: { [ANNOTATIONS]: true } };
  return { text: `${JSON.stringify({ ...whole, plugins: [...others, own] }, undefined, 2)}\n` };
}
