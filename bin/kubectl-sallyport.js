#!/usr/bin/env node
// `kubectl sallyport COMMAND …`: the same commands, asked of the cluster that kubectl would ask. Plain JavaScript, as sallyport.js is.
const ASK_CLUSTERS = new Set(['analyze', 'explain', 'verify', 'diff', 'describe', 'netpol', 'controller']);

const words = process.argv.slice(2);
const asksCluster = ASK_CLUSTERS.has(words[0]) && !words.includes('--kube');
process.argv.splice(2, words.length, ...(asksCluster ? [words[0], '--kube', ...words.slice(1)] : words));
await import('./sallyport.js');
