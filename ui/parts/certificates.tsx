/** The certificates of proxies and Secrets; what ends first stands first. */
import type { CertificateView } from '../../src/console/model.ts';
import { useAsked } from '../lib/asked.ts';
import { linkTo } from '../lib/router.ts';
import { state } from '../lib/store.ts';
import { Asking, Empty, Failure, Name } from './basics.tsx';

const LEVELS = { valid: 'verdict-allowed', soon: 'level-warning', expired: 'verdict-refused', 'not yet': 'verdict-refused' } as const;

export function Certificates() {
  const asked = useAsked<readonly CertificateView[]>('/certificates', {}, state.value);
  if (asked.kind === 'asking') return <Asking />;
  if (asked.kind === 'failed') return <Failure message={asked.message} />;
  if (asked.answer.length === 0) return <Empty title="No proxy has a certificate, and no Secret holds one." />;
  return (
    <div class="stack">
      {asked.answer.map((certificate, i) => (
        <Certificate key={i} certificate={certificate} />
      ))}
    </div>
  );
}

function Certificate({ certificate: { where, kind, names, since, until, state: is, file, place } }: { certificate: CertificateView }) {
  return (
    <section class="card" aria-label={`${kind} of ${where}`}>
      <header class="statement">
        <span class={`verdict ${LEVELS[is]}`}>{is}</span>
        <h2 class="mono">
          {place ? <a href={linkTo('configuration', { file: place.file, line: String(place.line) })}>{where}</a> : where}
        </h2>
      </header>
      <p>{kind === 'roots' ? 'Others are verified by it' : 'It is shown to others'}</p>
      <p>
        <Name>{names.join(', ')}</Name>
      </p>
      <p class="dim">
        from <span class="mono">{since}</span> until <span class="mono">{until}</span>
        {file && ` in ${file}`}
      </p>
    </section>
  );
}
