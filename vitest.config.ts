import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Real processes on a shared machine: what fails for want of processor time passes a second time, what is broken fails twice.
    retry: process.env['CI'] ? 1 : 0,
    // Many tests start real processes; two at once is what the smallest supported machine can bear.
    maxWorkers: 2,
  },
})
