import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { Plugin } from 'vite';

const TEXT = /\.(html|js|css|svg|json|webmanifest|txt)$/;

/** A compressed variant is kept only if it saves at least 5 %. */
const WORTH_IT = 0.95;

/** Writes `.br` and `.gz` variants of each text file after the build, so that the server never compresses at run time. */
export function precompress(): Plugin {
  let folder = 'dist';
  return {
    name: 'precompress',
    apply: 'build',
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle() {
      await compressFolder(folder);
    },
  };
}

/** Compresses every text file in `folder` and returns the written files. */
export async function compressFolder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const written: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile() || !TEXT.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const plain = await readFile(path);
    const packed: [string, Buffer][] = [
      ['.br', await promisify(brotliCompress)(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } })],
      ['.gz', await promisify(gzip)(plain, { level: 9 })],
    ];
    for (const [suffix, bytes] of packed) {
      if (bytes.length > plain.length * WORTH_IT) continue;
      await writeFile(path + suffix, bytes);
      written.push(path + suffix);
    }
  }
  return written;
}
