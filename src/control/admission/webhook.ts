/** The mutating webhook of a controller: pods are injected by what is in force there. */
import type { InjectionOptions } from '../../kube/injection/settings.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { Mesh } from '../../translate/model.ts';
import type { ControlEvent } from '../report.ts';
import type { MeshCredentials } from '../serving/credentials.ts';
import { injectAnswer, injectPath } from './inject.ts';
import { type AdmissionServer, startAdmissionServer } from './server.ts';

export interface WebhookOptions {
  readonly listen: SocketAddress;
  readonly injection: Omit<InjectionOptions, 'mesh'>;
}

/** Its certificate is renewed as the credentials are. @param meshNow what is in force */
export async function startWebhook(
  { listen, injection }: WebhookOptions,
  credentials: MeshCredentials,
  meshNow: () => Mesh,
  tell: (event: ControlEvent) => void,
): Promise<AdmissionServer> {
  const server = await startAdmissionServer({
    listen,
    tls: credentials.first,
    answererAt: (path) => {
      const said = injectPath(path);
      if (!said) return undefined;
      return (request) => {
        const { config, snapshot } = meshNow();
        const namespaceOf = (name: string) => snapshot.list('Namespace').find(({ metadata }) => metadata.name === name);
        return injectAnswer(request, { ...injection, ...said, mesh: config }, namespaceOf);
      };
    },
    refused: (object, reason) => tell({ kind: 'not-admitted', object, reason }),
  });
  credentials.follow((renewed) => server.setTls(renewed));
  return server;
}
