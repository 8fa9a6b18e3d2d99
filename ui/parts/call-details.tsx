/** One call, opened: what was seen of it, and the way of such a call. */
import { useState } from 'preact/hooks';
import type { Flow } from '../../src/flows/flow.ts';
import { askedCall, callerText, callTo, isOwn, reasonText } from '../lib/calls.ts';
import { bytesText, durationText, hostPortText, timeText } from '../lib/format.ts';
import { Details, Verdict } from './basics.tsx';
import { Explanation } from './explained.tsx';

export function CallDetails({ flow, close }: { flow: Flow; close: () => void }) {
  const [scheme, setScheme] = useState<'https' | 'http'>('https');
  const call = askedCall(flow) ?? callTo(flow, scheme);
  return (
    <Details label="The call" title={<span class="mono">{hostPortText(flow.host, flow.port)}</span>} close={close}>
      <Facts flow={flow} />
      {flow.protocol === 'dns' && (
        <p class="note">
          Only the name was asked for. Explained as a call with{' '}
          <select aria-label="Scheme" value={scheme} onChange={(event) => setScheme(event.currentTarget.value as 'https' | 'http')}>
            <option value="https">https, port 443</option>
            <option value="http">http, port 80</option>
          </select>
        </p>
      )}
      <h3>The way of such a call</h3>
      {isOwn(flow) ? (
        <Explanation call={call} saw={flow.protocol === 'dns' ? undefined : flow.verdict} />
      ) : (
        <p class="note">
          The proxy is in a namespace that you may not see: the call of the workload itself, which comes before, is explained.
        </p>
      )}
    </Details>
  );
}

function Facts({ flow }: { flow: Flow }) {
  const { verdict, status, time, duration, method, path, protocol, proxy, gateway, upstream, responseFlags, bytesSent, bytesReceived } =
    flow;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['Caller', callerText(flow)],
    ['Time', `${timeText(time)}${duration === undefined ? '' : `, took ${durationText(duration)}`}`],
    ['Request', method ? `${method} ${path ?? ''}` : protocol],
    ['Status', status === undefined ? undefined : String(status)],
    ['Proxy', proxy],
    ['Gateway', gateway],
    ['Server', upstream],
    ['Flags', responseFlags?.join(', ')],
    ['Bytes', bytesSent === undefined ? undefined : `${bytesText(bytesSent)} sent, ${bytesText(bytesReceived)} received`],
  ];
  return (
    <>
      <p>
        <Verdict of={verdict ?? 'running'} /> {flow.reason && <span class="reason">{reasonText(flow)}</span>}
      </p>
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value && (
              <div key={name}>
                <dt>{name}</dt>
                <dd class="mono">{value}</dd>
              </div>
            ),
        )}
      </dl>
    </>
  );
}
