import type { MeshConfig } from '../../api/index.ts';
import { Layered } from '../../config/layered.ts';
import { localMesh, RouterAddresses } from '../../config/local-mesh.ts';
import type { MeshInput } from '../../config/mesh-source.ts';
import type { OfEngine, ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { Learning } from '../learning/learning.ts';
import { allowingConfig, allowingSnapshot } from '../learning/recording.ts';
import type { Prepared } from '../loop.ts';
import { reachableListeners } from './listeners.ts';
import type { LocalMeshOptions } from './options.ts';

/** Key of the local sidecar among the proxies; routers have those of their selectors. */
export const SIDECAR = 'sidecar';

export interface PrepareOptions {
  readonly options: Pick<LocalMeshOptions, 'routerAddress' | 'capturePort' | 'beside' | 'allowAll'>;
  readonly sidecar: ProxyIdentity;
  /** Of routers, as of the sidecar. */
  readonly counted: OfEngine;
  readonly learning: Learning | undefined;
  /** Changes the mesh's settings beyond what the files say. */
  readonly adjust: (config: MeshConfig) => MeshConfig;
}

/** Lays the workloads of this machine over what the files say, with the proxies that belong to them. */
export function localPrepare({ options, sidecar, counted, learning, adjust }: PrepareOptions): (given: MeshInput) => Prepared {
  const { routerAddress, capturePort, beside, allowAll } = options;
  const addresses = new RouterAddresses(routerAddress);
  const reachable = reachableListeners(capturePort);
  return (given) => {
    const written = beside ? { ...given, snapshot: new Layered(given.snapshot, beside) } : given;
    const allowed = learning?.allowing(written) ?? (allowAll ? allowing(written) : written);
    const { snapshot, routers, findings } = localMesh(allowed.snapshot, allowed.mesh.rootNamespace, addresses, counted);
    const mesh = adjust(capturePort > 0 ? { ...allowed.mesh, proxyListenPort: capturePort } : allowed.mesh);
    const proxies = new Map([...routers.map(({ key, identity }) => [key, identity] as const), [SIDECAR, sidecar]]);
    return {
      input: { snapshot, mesh, findings: allowed.findings },
      findings,
      proxies: () => proxies,
      adapt: (resources, type) => {
        const adapted = reachable(resources);
        return learning?.recorded(adapted, type, mesh) ?? adapted;
      },
    };
  };
}

function allowing(input: MeshInput): MeshInput {
  return { ...input, snapshot: allowingSnapshot(input.snapshot), mesh: allowingConfig(input.mesh) };
}
