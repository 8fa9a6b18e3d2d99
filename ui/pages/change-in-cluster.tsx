/** What objects would change of calls if they were applied to the cluster. */
import { signal } from '@preact/signals';
import { state } from '../lib/store.ts';
import { Empty, Page } from '../parts/basics.tsx';
import { Compared, compareSides, comparing, StopButton } from '../parts/compared.tsx';
import { TextView } from '../parts/source-text.tsx';

/** What stands in the editor: it outlives the page. */
let text = '';
/** How often files were chosen: each time there is another editor. */
const chosen = signal(0);

const YAML = /\.(?:ya?ml|json)$/;

async function takeFiles(files: FileList | null): Promise<void> {
  const read = [...(files ?? [])].filter(({ name }) => YAML.test(name));
  const texts = await Promise.all(read.map(async (file) => `# ${file.webkitRelativePath || file.name}\n${await file.text()}`));
  text = texts.join('\n---\n');
  chosen.value++;
}

function change(edited: string): void {
  text = edited;
}

export function ClusterChange() {
  const namespaces = state.value?.namespaces;
  return (
    <Page title="Change" about="Which calls would end differently if these objects were applied to the cluster">
      <form
        class="sides"
        onSubmit={(event) => {
          event.preventDefault();
          compareSides({}, { applied: text });
        }}
      >
        <Chooser title="Files" />
        <Chooser title="A folder" whole />
        <button type="submit" class="button primary" disabled={comparing.value.kind === 'comparing'}>
          Compare
        </button>
        <StopButton />
      </form>
      <TextView key={chosen.value} text="" start={text} line={0} label="Objects to apply, YAML" change={change} />
      <Compared />
      {comparing.value.kind === 'none' && (
        <Empty title="Choose files, or paste YAML above.">
          Nothing is applied: the objects are laid over the cluster as it is read now
          {namespaces && ', and have to be of namespaces that you may see'}.
        </Empty>
      )}
    </Page>
  );
}

function Chooser({ title, whole = false }: { title: string; whole?: boolean }) {
  return (
    <label class="side">
      {title}
      <input
        type="file"
        multiple
        ref={(input) => {
          if (input) input.webkitdirectory = whole;
        }}
        onChange={(event) => void takeFiles(event.currentTarget.files)}
      />
    </label>
  );
}
