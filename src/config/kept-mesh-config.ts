import { BIND_DEFAULT } from '../api/bind.ts';
import { DECODING_CODES } from '../api/codes.ts';
import type { MeshConfig } from '../api/index.ts';
import { defaultMeshConfig, type MeshConfigDecoded } from '../api/mesh-config-document.ts';
import type { Finding } from '../lib/finding.ts';
import { meshConfigUnreadable } from './mesh-config.ts';

/** What was found where MeshConfig is to be. */
export type MeshConfigFound =
  | { readonly kind: 'decoded'; readonly decoded: MeshConfigDecoded }
  /** No object among the resources holds one. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly file: string; readonly reason: string; readonly passes: boolean };

export interface MeshSettings {
  readonly mesh: MeshConfig;
  readonly findings: readonly Finding[];
}

interface InForce {
  readonly mesh: MeshConfig;
  /** `broken`: fields that did not decode have their defaults in it; `default`: nobody has written anything yet. */
  readonly state: 'good' | 'broken' | 'default';
}

/** The last good MeshConfig: one that breaks, is emptied or disappears opens nothing that was closed. */
export class KeptMeshConfig {
  #inForce: InForce | undefined;
  readonly #initial: () => MeshConfig;

  /** @param closed where there never was one, what nothing declares is refused */
  constructor(closed = false) {
    this.#initial = closed ? closedMeshConfig : defaultMeshConfig;
  }

  /** @throws SallyportError `mesh-config-unreadable` if the very first cannot be read. */
  take(found: MeshConfigFound): MeshSettings {
    switch (found.kind) {
      case 'decoded':
        return found.decoded.empty ? this.#takeNothing(EMPTY, found.decoded.findings) : this.#takeText(found.decoded);
      case 'none':
        return this.#takeNothing(GONE, []);
      case 'unreadable': {
        const { file, reason } = found;
        if (!this.#inForce) throw meshConfigUnreadable(file, reason);
        return { mesh: this.#inForce.mesh, findings: [finding('SP0002', `${file} can't be read: ${reason}; ${STAYS}`)] };
      }
    }
  }

  #takeText({ config, findings }: MeshConfigDecoded): MeshSettings {
    const error = findings.find(({ level }) => level === 'Error');
    if (!error || !this.#inForce || this.#inForce.state === 'broken') {
      this.#inForce = { mesh: config, state: error ? 'broken' : 'good' };
      return { mesh: config, findings };
    }
    // What a broken one would do is not what happens.
    const own = findings.filter(({ code }) => code !== 'SP0011');
    return { mesh: this.#inForce.mesh, findings: [...own, { ...finding('SP0010', STAYS), position: error.position }] };
  }

  #takeNothing(why: string, findings: readonly Finding[]): MeshSettings {
    this.#inForce ??= { mesh: this.#initial(), state: 'default' };
    const { mesh, state } = this.#inForce;
    return { mesh, findings: state === 'default' ? findings : [...findings, finding('SP0010', `${why}: ${STAYS}; ${DEFAULTS}`)] };
  }
}

const STAYS = 'the settings read before stay in force until this is mended';
const EMPTY = 'there is nothing in it any more';
const GONE = 'no ConfigMap istio with the key mesh is among the resources any more';
const DEFAULTS = "for Istio's defaults write {}, or start anew";

function finding(code: 'SP0002' | 'SP0010', message: string): Finding {
  return { code, level: DECODING_CODES[code].level, message, origin: { kind: 'MeshConfig', namespace: '', name: '' } };
}

function closedMeshConfig(): MeshConfig {
  const config = defaultMeshConfig();
  const proxyMetadata = { ...config.defaultConfig.proxyMetadata, [BIND_DEFAULT]: 'enforce' };
  return {
    ...config,
    outboundTrafficPolicy: { ...config.outboundTrafficPolicy, mode: 'REGISTRY_ONLY' },
    defaultConfig: { ...config.defaultConfig, proxyMetadata },
  };
}
