import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/** Which layer may import which; the arrows of the data flow, one way. */
const layers = [
  { sourceTag: 'layer:contract', onlyDependOnLibsWithTags: ['layer:contract'] },
  { sourceTag: 'layer:core', onlyDependOnLibsWithTags: ['layer:contract'] },
  { sourceTag: 'layer:edge', onlyDependOnLibsWithTags: ['layer:contract'] },
  { sourceTag: 'layer:flow', onlyDependOnLibsWithTags: ['layer:core', 'layer:edge', 'layer:contract'] },
  { sourceTag: 'layer:app', onlyDependOnLibsWithTags: ['layer:flow', 'layer:core', 'layer:edge', 'layer:contract'] },
];

/** Each outside system has one home: nothing else may import its client. */
const homes = {
  'lib:event-log': ['kafkajs'],
  'lib:history': ['@clickhouse/*', 'chdb'],
  'lib:graph': ['graphql', '@nestjs/graphql', '@nestjs/apollo', '@apollo/*'],
  'lib:control': ['@nestjs/microservices'],
};
const projects = [
  'contracts',
  'procfs',
  'alloc-trace',
  'event-log',
  'history',
  'service',
  'leak',
  'live',
  'pipeline',
  'graph',
  'control',
];
const apps = ['standalone', 'cli', 'collector', 'processor', 'writer', 'api', 'web'];
const bans = [...projects.map((name) => `lib:${name}`), ...apps.map((name) => `app:${name}`)].map((tag) => ({
  sourceTag: tag,
  bannedExternalImports: Object.entries(homes).flatMap(([home, names]) => (home === tag ? [] : names)),
}));

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '.nx/**', '.cache/**', '**/testdata/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx', '**/*.mjs', '**/*.js'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { allow: [], enforceBuildableLibDependency: false, depConstraints: [...layers, ...bans] },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      eqeqeq: 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Configuration is read once, in an app’s config.ts.' },
      ],
    },
  },
  {
    files: ['libs/*/src/**/*.ts', 'apps/*/src/**/*.ts', 'apps/*/src/**/*.tsx'],
    ignores: ['**/*.test.ts'],
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['apps/*/src/config.ts', 'tools/**', 'test/**', '**/*.test.ts', '*.config.*'],
    rules: { 'no-restricted-properties': 'off' },
  },
  prettier,
);
