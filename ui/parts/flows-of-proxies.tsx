/** Why a cluster's console shows no calls, and where they are. */
import { Empty } from './basics.tsx';

export function FlowsOfProxies() {
  return (
    <Empty title="Flows come from proxies, and these do not tell the controller of them.">
      This is not to say that no call is made, or none refused. A pod's calls are told in the pod, by an agent that was started with{' '}
      <code>--flows</code>: <code>kubectl exec -n NAMESPACE POD -c istio-proxy -- sallyport flows</code>; those that are over stand in its
      access log. What calls would be refused, Way out says.
    </Empty>
  );
}
