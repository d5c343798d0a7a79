import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { Plugin } from 'vite';

const TEXT = /\.(html|js|css|svg|json|webmanifest|txt)$/;

/** The siblings are worth a place in the server's binary only where they save something. */
const WORTH_IT = 0.95;

/** Lays a `.br` and a `.gz` beside each text file that was built, so that the server never compresses at run time. */
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

/** Compresses every text file below `folder`; returns the files it wrote. */
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
