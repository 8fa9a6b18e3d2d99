/** The console's page. */
import { render } from 'preact';
import { follow } from './lib/store.ts';
import { applyTheme } from './lib/theme.ts';
import { Shell } from './shell.tsx';

applyTheme();
follow();
render(<Shell />, document.getElementById('app')!);
