/** What a controller can be asked to do in a cluster, and what that needs. */
import { SallyportError } from '../../lib/errors.ts';

/** By the names of the options that ask for it. */
export interface WantedDuties {
  /** Whether a cluster is read. */
  readonly kube?: boolean;
  /** The CA's folder. */
  readonly ca?: string | undefined;
  readonly caSecret?: string | undefined;
  readonly webhookConfig?: string | undefined;
  readonly validationConfig?: string | undefined;
  readonly rootMaps?: boolean;
  readonly tokens?: boolean;
  readonly gateways?: boolean;
}

/** Whether anything is to be done. @throws SallyportError `usage` for what needs a cluster, or the CA, where there is none */
export function checkDuties({ kube = false, ca, gateways = false, ...wanted }: WantedDuties): boolean {
  const { caSecret, webhookConfig, validationConfig, rootMaps = false, tokens = false } = wanted;
  const [withCa] = [
    ...(caSecret === undefined ? [] : ['--ca-secret']),
    ...(webhookConfig === undefined ? [] : ['--webhook-config']),
    ...(validationConfig === undefined ? [] : ['--validation-config']),
    ...(rootMaps ? ['--root-maps'] : []),
    ...(tokens ? ['--cluster-tokens'] : []),
  ];
  const first = withCa ?? (gateways ? '--gateways' : undefined);
  if (first !== undefined && !kube) throw new SallyportError('usage', `${first} is done in a cluster: it needs --kube`);
  if (withCa !== undefined && ca === undefined) throw new SallyportError('usage', `${withCa} needs the CA: name its folder with --ca`);
  return first !== undefined;
}

/** The Service by which a control plane is called in its cluster, as Istio names it. */
export function serviceName(revision: string, namespace: string): string {
  return `${revision === '' || revision === 'default' ? 'istiod' : `istiod-${revision}`}.${namespace}.svc`;
}
