import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Many tests start real processes; two at once is what the smallest supported machine can bear.
    maxWorkers: 2,
  },
})
