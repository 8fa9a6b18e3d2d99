/** For tests of what is answered about the mesh's objects. */
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
