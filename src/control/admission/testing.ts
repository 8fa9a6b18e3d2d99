/** For tests of the webhooks. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as secureRequest } from 'node:https';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { OPTIONS } from '../../kube/injection/testing.ts';
import { freePort } from '../../lib/free-port.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import { startedController } from '../serving/testing.ts';
import type { GuardOptions } from './guard-options.ts';
import { type AdmissionRequest, admissionRequest } from './review.ts';

export interface Asked {
  readonly operation?: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly oldObject?: object | null;
  readonly userInfo?: { readonly username: string; readonly groups: readonly string[] };
}

interface ObjectOfApi {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

/** As an API server asks about the object. */
export function reviewOf(object: ObjectOfApi, asked: Asked = {}): object {
  const { operation = 'CREATE', oldObject = null } = asked;
  const [group, version] = object.apiVersion.split('/');
  const { name, namespace } = object.metadata;
  const [now, before] = operation === 'DELETE' ? [null, object] : [object, oldObject];
  const kind = { group, version, kind: object.kind };
  const userInfo = { username: 'carol', groups: ['system:authenticated'] };
  const request = { uid: 'u-1', kind, operation, namespace, name, userInfo, ...asked, object: now, oldObject: before };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request };
}

export function requestOf(object: ObjectOfApi, asked: Asked = {}): AdmissionRequest {
  return admissionRequest(JSON.stringify(reviewOf(object, asked)));
}

/** A host that may be called on port 443. */
export function entryOf(name: string, namespace = 'shop', host = `${name}.example.com`) {
  const ports = [{ number: 443, name: 'tls', protocol: 'TLS' }];
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name, namespace },
    spec: { hosts: [host], location: 'MESH_EXTERNAL', resolution: 'DNS', ports },
  };
}

export interface Answer {
  readonly status: number | undefined;
  readonly body: { response?: Record<string, unknown>; error?: string };
  readonly certificate: string;
}

interface WebhookStart {
  readonly service?: string | undefined;
  readonly guard?: GuardOptions;
}

/** A controller of this text, and what asks its webhook over HTTPS as an API server asks. */
export async function startedWebhook(t: TestContext, text: string, { service, guard }: WebhookStart = {}) {
  const port = await freePort();
  const { mesh: _mesh, ...injection } = OPTIONS;
  const controller = await startedController(t, text, { service, webhook: { listen: { address: '127.0.0.1', port }, injection, guard } });
  const root = () => readRegularText(join(controller.ca, 'root-cert.pem'));
  const ask = async (body: unknown, path = '/inject', method = 'POST'): Promise<Answer> => {
    const where = { host: '127.0.0.1', port, path, method, agent: false, ca: root(), servername: service ?? 'istiod.istio-system.svc' };
    const asked = secureRequest(where).end(typeof body === 'string' ? body : JSON.stringify(body));
    const [given] = (await once(asked, 'response')) as [IncomingMessage];
    const certificate = (given.socket as TLSSocket).getPeerCertificate().fingerprint256;
    let text = '';
    for await (const part of given) text += String(part);
    return { status: given.statusCode, body: JSON.parse(text), certificate };
  };
  return { ...controller, ask, port };
}
