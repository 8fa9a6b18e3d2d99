/** A list of any length of which only the rows in view are in the page; walked with the arrow keys. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface Props<T> {
  readonly items: readonly T[];
  readonly keyOf: (item: T) => string;
  /** Height of a row, px. */
  readonly height: number;
  readonly label: string;
  readonly columns: readonly { readonly title: string; readonly class: string }[];
  readonly row: (item: T) => readonly ComponentChildren[];
  readonly rowClass?: (item: T) => string;
  readonly open: (item: T | undefined) => void;
  readonly opened: string | undefined;
}

/** Of the head, which stays in view, px. */
const HEAD = 30;
/** Rows beyond the edge, so that fast scrolling shows no gap. */
const BEYOND = 8;

export function VirtualList<T>({ items, keyOf, height, label, columns, row, rowClass, open, opened }: Props<T>) {
  const frame = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, rows: 40 });
  const [focused, setFocused] = useState<string>();
  const at = items.findIndex((item) => keyOf(item) === focused);

  useEffect(() => {
    const element = frame.current!;
    const measure = () => setView({ top: Math.floor(element.scrollTop / height), rows: Math.ceil((element.clientHeight - HEAD) / height) });
    measure();
    element.addEventListener('scroll', measure, { passive: true });
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    return () => {
      element.removeEventListener('scroll', measure);
      resized.disconnect();
    };
  }, [height]);

  const focusRow = (index: number) => {
    const item = items[Math.max(0, Math.min(items.length - 1, index))];
    if (item === undefined) return;
    const element = frame.current!;
    const place = items.indexOf(item);
    if (place * height < element.scrollTop) element.scrollTop = place * height;
    const room = element.clientHeight - HEAD;
    if ((place + 1) * height > element.scrollTop + room) element.scrollTop = (place + 1) * height - room;
    setFocused(keyOf(item));
    requestAnimationFrame(() => element.querySelector<HTMLElement>('[data-focused]')?.focus({ preventScroll: true }));
  };

  const onKey = (event: KeyboardEvent) => {
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: view.rows, PageUp: -view.rows, Home: -items.length, End: items.length }[event.key];
    if (move !== undefined) {
      event.preventDefault();
      focusRow(Math.max(0, at) + move);
    } else if (event.key === 'Enter' && items[at] !== undefined) open(items[at]);
    else if (event.key === 'Escape') open(undefined);
  };

  const first = Math.max(0, view.top - BEYOND);
  const shown = items.slice(first, view.top + view.rows + BEYOND);
  // Somewhere the tabulator has to come in.
  const entry = at >= first && at < first + shown.length ? at : first;
  return (
    <div class="list" role="grid" aria-label={label} aria-rowcount={items.length + 1} onKeyDown={onKey}>
      <div class="list-frame" role="presentation" ref={frame}>
        <div class="list-head" role="row" aria-rowindex={1} style={{ height: `${HEAD}px` }}>
          {columns.map((column) => (
            <div key={column.title} role="columnheader" class={column.class}>
              {column.title}
            </div>
          ))}
        </div>
        <div class="list-space" role="rowgroup" style={{ height: `${items.length * height}px` }}>
          {shown.map((item, i) => {
            const key = keyOf(item);
            const index = first + i;
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid hears the keys of all its rows.
              <div
                key={key}
                role="row"
                aria-rowindex={index + 2}
                aria-selected={opened === key}
                tabIndex={index === entry ? 0 : -1}
                class={`list-row ${rowClass?.(item) ?? ''}`}
                data-focused={focused === key ? '' : undefined}
                style={{ top: `${index * height}px`, height: `${height}px` }}
                onClick={() => {
                  setFocused(key);
                  open(item);
                }}
                onFocus={() => setFocused(key)}
              >
                {row(item).map((cell, column) => (
                  <div key={columns[column]!.title} role="gridcell" class={columns[column]!.class}>
                    {cell}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
