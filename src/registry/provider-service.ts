/** The service of an extension provider of MeshConfig: `[NAMESPACE/]HOST` and a port, among all services of the mesh. */
import type { Registry, Service } from './model.ts';

/** A text says why there is none. */
export function providerService({ services }: Registry, text: string, port: number): Service | string {
  const slash = text.indexOf('/');
  const [namespace, hostname] = slash < 0 ? [undefined, text] : [text.slice(0, slash), text.slice(slash + 1)];
  const found = services.filter((each) => each.hostname === hostname && (namespace ?? each.namespace) === each.namespace);
  const [service] = found;
  if (!service) return `there is no service ${text}`;
  if (found.length > 1)
    return `there is a service ${text} in several namespaces (${found.map((each) => each.namespace).join(', ')}): say which, as NAMESPACE/HOST`;
  return service.ports.some(({ number }) => number === port) ? service : `service ${text} has no port ${port}`;
}
