import type { Rules } from '../kind.ts';
import type { Service } from '../kubernetes/service.ts';

/** What the Kubernetes API server refuses of a Service, as far as the mesh reads it. */
export const serviceRules: Rules<Service> = ({ spec }, report) => {
  const { type, ports, externalName, clusterIP } = spec;
  if (type === 'ExternalName') {
    if (!externalName) report({ path: ['spec'], message: 'type ExternalName needs externalName' });
  } else if (ports.length === 0 && clusterIP !== 'None') {
    report({ path: ['spec'], message: 'needs at least one port' });
  }
  const names = new Set<string>();
  const numbers = new Set<string>();
  ports.forEach(({ name, port, protocol }, index) => {
    const path = ['spec', 'ports', index];
    if (name === '' && ports.length > 1) report({ path, message: 'needs a name: the Service has several ports' });
    if (name !== '' && names.has(name)) report({ path: [...path, 'name'], message: `"${name}" names another port already` });
    if (numbers.has(`${protocol}/${port}`)) report({ path: [...path, 'port'], message: `port ${port} is listed already` });
    names.add(name);
    numbers.add(`${protocol}/${port}`);
  });
};
