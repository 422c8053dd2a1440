import { defineConfig } from 'vitest/config';

// Vite adds `import` or `require` itself; named here, they would reach Node too and turn every `require` into an import.
const conditions = ['@tidemark/source', 'node'];

export default defineConfig({
  // Vite would take graphql's `index.mjs`, a second one beside the `index.js` that Node gives to Apollo and Nest.
  resolve: { conditions, alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  ssr: { resolve: { conditions } },
  test: {
    include: ['libs/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
