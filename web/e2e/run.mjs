// Runs a TypeScript module of this folder outside the test runner: node e2e/run.mjs screenshots FOLDER
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const [name, ...rest] = process.argv.slice(2);
const { module } = await runnerImport(fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), { configFile: false });
await module.run(...rest);
