/** The webhooks of a controller: pods are injected, and the mesh's objects judged, by what is in force there. */
import type { InjectionOptions } from '../../kube/injection/settings.ts';
import type { SocketAddress } from '../../lib/socket-address.ts';
import type { Mesh } from '../../translate/model.ts';
import type { ControlEvent } from '../report.ts';
import type { MeshCredentials } from '../serving/credentials.ts';
import { CausedFindings } from './caused.ts';
import { EgressGuard } from './guard.ts';
import type { GuardOptions } from './guard-options.ts';
import { injectAnswer, injectPath } from './inject.ts';
import { type AdmissionServer, type Answerer, startAdmissionServer } from './server.ts';
import { submittedIn, withSubmitted } from './submitted.ts';
import { validateAnswer } from './validate.ts';

/** How long an object waits for warnings, ms. */
const ANALYSIS_MS = 1500;

export interface WebhookOptions {
  readonly listen: SocketAddress;
  readonly injection: Omit<InjectionOptions, 'mesh'>;
  /** What would widen egress is refused; undefined: nobody may ask. */
  readonly guard?: GuardOptions | undefined;
}

/** Its certificate is renewed as the credentials are. @param meshNow what is in force */
export async function startWebhook(
  { listen, injection, guard: guarded }: WebhookOptions,
  credentials: MeshCredentials,
  meshNow: () => Mesh,
  tell: (event: ControlEvent) => void,
): Promise<AdmissionServer> {
  const caused = new CausedFindings();
  const validate: Answerer = (request) => {
    const submitted = submittedIn(request);
    if (!submitted) return {};
    const mesh = meshNow();
    return validateAnswer(submitted, () => caused.of(mesh, withSubmitted(mesh.snapshot, submitted), submitted.origin, ANALYSIS_MS));
  };
  const guard = guarded && new EgressGuard(guarded, () => performance.now());
  const judge: Answerer = (request) => {
    const submitted = submittedIn(request);
    return submitted ? guard!.answer(submitted, meshNow(), request.user) : {};
  };
  const server = await startAdmissionServer({
    listen,
    tls: credentials.first,
    answererAt: (path) => {
      if (path === '/validate') return validate;
      if (path === '/guard') return guard && judge;
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
