import { defineConfig } from 'vitest/config';

// One browser and one server at a time: what the specs try is the promise, not the machine.
export default defineConfig({
  test: {
    include: ['e2e/**/*.e2e.ts'],
    environment: 'node',
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    // Conditions are waited for, never times: far longer than any of them takes.
    expect: { poll: { timeout: 60_000, interval: 50 } },
  },
});
