/** The MeshConfig under which a proposal holds: what is in force, with everything refused that is not declared. */
import { parse, stringify } from 'yaml';
import { PROPOSAL_MARK } from '../../prove/learned-text.ts';

/** `text` is a MeshConfig or a ConfigMap with one, and empty where there is none. */
export function strictConfigText(text: string): string {
  const given: unknown = parse(text);
  const data = isObject(given) && given.kind === 'ConfigMap' && isObject(given.data) ? given.data.mesh : undefined;
  const config = data === undefined ? given : parse(String(data));
  const head = `${PROPOSAL_MARK} The MeshConfig under which the proposal beside it is all that is allowed.`;
  return `${head}\n${stringify({ ...(isObject(config) && config), outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
