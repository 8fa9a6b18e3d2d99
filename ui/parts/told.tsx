/** Whose calls are here, and what of them is missing. */
import { counted } from '../lib/format.ts';
import { missed, missesMore, state } from '../lib/store.ts';
import { Empty, Names } from './basics.tsx';

export function ToldCalls() {
  const reach = state.value?.reach;
  return (
    <>
      {(missed.value > 0 || missesMore.value) && (
        <p class="note">
          {missed.value > 0 ? counted(missed.value, 'call') : 'Some calls'} {missed.value > 0 && missesMore.value && 'and some more '}came
          faster than they could be told, and are missing here.
        </p>
      )}
      {reach && (
        <p class="note">
          Calls of {reach.telling} of the {counted(reach.connected, 'proxy', 'proxies')} that are connected to{' '}
          {reach.heard > 0 ? `the ${reach.heard + 1} controllers that are heard` : 'this controller'}
          {state.value?.namespaces && ', of those that you may see'}.
          {reach.unheard > 0 &&
            ` ${counted(reach.unheard, 'other controller')} of the mesh do not answer: calls at their proxies are not seen here.`}
          {reach.silent.length > 0 && (
            <>
              {' '}
              Not told: <Names of={reach.silent} /> (an Envoy without sallyport agent or older than 1.40, or one that has just come).
            </>
          )}
        </p>
      )}
    </>
  );
}

/** A controller that proxies reach by no authenticated connection hears nothing of them. */
export function NobodyTells() {
  return (
    <Empty title="No proxy tells this controller of its calls.">
      This is not to say that no call is made, or none refused. Proxies tell over <code>--xds-tls</code>, which this controller does not
      serve; a pod's calls are told in the pod: <code>kubectl exec -n NAMESPACE POD -c istio-proxy -- sallyport flows</code>.
    </Empty>
  );
}
