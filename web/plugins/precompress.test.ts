import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { compressFolder } from './precompress';

test('text files get .br and .gz variants that save space', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'precompress-'));
  try {
    await mkdir(join(folder, 'assets'));
    const script = 'console.log("tea");\n'.repeat(50);
    await writeFile(join(folder, 'assets', 'a.js'), script);
    await writeFile(join(folder, 'tiny.txt'), 'x');
    await writeFile(join(folder, 'picture.png'), script);
    const written = (await compressFolder(folder)).map((path) => path.slice(folder.length + 1)).sort();
    expect(written).toEqual(['assets/a.js.br', 'assets/a.js.gz']);
    expect(brotliDecompressSync(await readFile(join(folder, 'assets', 'a.js.br'))).toString()).toBe(script);
    expect(gunzipSync(await readFile(join(folder, 'assets', 'a.js.gz'))).toString()).toBe(script);
  } finally {
    await rm(folder, { recursive: true });
  }
});
