import { defineConfig } from 'vitest/config';

// One browser and one server at a time, so that a busy machine causes no timeouts.
export default defineConfig({
  test: {
    include: ['e2e/**/*.e2e.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    // Tests wait for conditions, not for times; this limit is far above any of them.
    expect: { poll: { timeout: 60_000, interval: 50 } },
  },
});
