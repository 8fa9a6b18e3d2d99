/** The box in which lists are filtered; `/` leads to it from anywhere. */
import { useId } from 'preact/hooks';

interface Props {
  readonly value: string;
  readonly change: (text: string) => void;
  readonly label: string;
  readonly hint: string;
  readonly problem?: string;
}

export function FilterBox({ value, change, label, hint, problem = '' }: Props) {
  const id = useId();
  return (
    <div class="filter">
      <label class="hidden" for={id}>
        {label}
      </label>
      <input
        id={id}
        class="filter-input mono"
        type="text"
        value={value}
        placeholder={hint}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={problem !== ''}
        aria-describedby={problem === '' ? undefined : `${id}-problem`}
        onInput={(event) => change(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          if (value === '') event.currentTarget.blur();
          change('');
        }}
      />
      <kbd title="/ leads here">/</kbd>
      {problem !== '' && (
        <p class="filter-problem" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
