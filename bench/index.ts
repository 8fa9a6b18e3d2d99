/** `npm run bench -- [NAME] [options]`: one benchmark of its own (`NAME.ts` beside this file), or the data plane beside others (`run.ts`). */
const OWN = ['audit', 'bound', 'cluster', 'console', 'contained', 'control', 'envoys', 'scale', 'analysis', 'profile', 'soak', 'gate'];

const [name] = process.argv.slice(2);
if (name !== undefined && OWN.includes(name)) process.argv.splice(2, 1);
await import(name !== undefined && OWN.includes(name) ? `./${name}.ts` : './run.ts');
