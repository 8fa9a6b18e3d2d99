/** `npm run bench -- [audit|cluster|console|contained|control|scale|analysis|profile|soak|gate] [options]`: one benchmark of its own, or the data plane beside others (`run.ts`). */
const OWN = ['audit', 'cluster', 'console', 'contained', 'control', 'scale', 'analysis', 'profile', 'soak', 'gate'];

const [name] = process.argv.slice(2);
if (name !== undefined && OWN.includes(name)) process.argv.splice(2, 1);
await import(name !== undefined && OWN.includes(name) ? `./${name}.ts` : './run.ts');
