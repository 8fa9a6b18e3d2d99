/** What a command line asks a controller to do in its cluster. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { ClusterAccess } from '../../config/kubernetes/access.ts';
import type { InjectionOptions } from '../../kube/injection/settings.ts';
import type { ObservedObjects } from '../../kube/observed.ts';
import { SallyportError } from '../../lib/errors.ts';
import { checkDuties, serviceName } from './duties.ts';
import type { ClusterDuties } from './index.ts';

/** As they are written on the command line. */
export interface DutyOptions {
  readonly kube?: boolean;
  readonly revision?: string;
  readonly ca?: string;
  readonly caSecret?: string;
  readonly rootMaps: boolean;
  readonly webhookConfig?: string;
  readonly validationConfig?: string;
  readonly clusterTokens: boolean;
  readonly gatewayController: string;
  readonly gatewayParameters?: string;
}

export interface DutyPlace {
  /** Where Istio is installed. */
  readonly namespace: string;
  /** What is looked at for Gateways; undefined: none are kept. */
  readonly observed: ObservedObjects | undefined;
  readonly injection: Omit<InjectionOptions, 'mesh'>;
  readonly access: () => Promise<ClusterAccess>;
}

/** What the controller does in its cluster, and the Service by which it is called there. Rejects with `usage`, and with what `access` rejects with. */
export async function dutiesOf(
  options: DutyOptions,
  { namespace, observed, injection, access }: DutyPlace,
): Promise<{ readonly service?: string; readonly cluster?: ClusterDuties }> {
  const { revision = '', clusterTokens: tokens, ...named } = options;
  const wanted = { ...named, namespace, revision, tokens };
  if (options.gatewayParameters !== undefined && !observed)
    throw new SallyportError('usage', '--gateway-parameters is about what Gateways run on: it needs --gateways');
  const isAny = checkDuties({ ...wanted, gateways: observed !== undefined });
  if (!options.kube) return {};
  const service = serviceName(revision, namespace);
  if (!isAny) return { service };
  const gateways = observed && {
    observed,
    controller: options.gatewayController,
    parameters: options.gatewayParameters,
    injection,
    identity: `${hostname()}_${randomUUID()}`,
  };
  const { caSecret, webhookConfig, validationConfig, rootMaps } = options;
  const own = { namespace, revision, caSecret, webhookConfig, validationConfig, rootMaps, tokens, gateways };
  return { service, cluster: { access: await access(), ...own } };
}
