import { defineConfig } from 'vitest/config';
import solid from 'vite-plugin-solid';
import { precompress } from './plugins/precompress.ts';

export default defineConfig({
  plugins: [solid(), precompress()],
  build: {
    target: ['es2022', 'chrome111', 'firefox113', 'safari16.2'],
    // The Content-Security-Policy allows no inline scripts, and `data:` only for images.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    proxy: {
      // The object form keeps the `Host` header, which the server compares with `Origin`.
      '/api': { target: 'http://127.0.0.1:9999' },
      '/ws': { target: 'ws://127.0.0.1:9999', ws: true },
    },
  },
  test: { include: ['src/**/*.test.ts', 'plugins/**/*.test.ts'], environment: 'node' },
});
