import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const LAYERS = ['contract', 'core', 'edge', 'flow', 'app'];

interface Project {
  name: string;
  directory: string;
  manifest: { nx?: { tags?: string[] }; dependencies?: Record<string, string> };
}

const projects: Project[] = ['libs', 'apps'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .map((name) => ({ name, directory: join(root, folder, name) }))
    .filter(({ directory }) => existsSync(join(directory, 'package.json')))
    .map(({ name, directory }) => ({
      name,
      directory,
      manifest: JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Project['manifest'],
    })),
);

/** What ESLint says of a file laid into a project for a moment. */
function lintOf(project: string, source: string): string {
  const folder = mkdtempSync(join(root, project, 'src', 'boundary-'));
  try {
    writeFileSync(join(folder, 'probe.ts'), source);
    execFileSync(join(root, 'node_modules/.bin/eslint'), [join(folder, 'probe.ts')], { cwd: root, encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the workspace', () => {
  beforeAll(() => {
    // Without the project graph the boundary rule skips itself and says so only in a warning.
    execFileSync(join(root, 'node_modules/.bin/nx'), ['show', 'projects'], { cwd: root });
  });

  it('has projects at all', () => {
    expect(projects.map((project) => project.name)).toEqual(
      expect.arrayContaining(['contracts', 'leak', 'standalone']),
    );
  });

  it.each(projects)('gives $name one layer tag and one name tag', ({ name, manifest }) => {
    const tags = manifest.nx?.tags ?? [];
    expect(tags.filter((tag) => tag.startsWith('layer:'))).toHaveLength(1);
    expect(LAYERS.map((layer) => `layer:${layer}`)).toContain(tags.find((tag) => tag.startsWith('layer:')));
    expect(tags).toContain(tags.includes('layer:app') ? `app:${name}` : `lib:${name}`);
  });

  it('names every project in the bans of the lint configuration', () => {
    const config = readFileSync(join(root, 'eslint.config.mjs'), 'utf8');
    for (const { name } of projects) expect(config, `${name} is missing in eslint.config.mjs`).toContain(`'${name}'`);
  });

  it('refuses an import against the direction', () => {
    expect(lintOf('libs/leak', "export { Topic } from '@tidemark/event-log';\n")).toContain('layer:core');
    expect(lintOf('libs/procfs', "export * from '@tidemark/event-log';\n")).toContain('layer:edge');
    expect(lintOf('libs/contracts', "export * from '@tidemark/leak';\n")).toContain('Circular dependency');
  });

  it('refuses the client of an outside system away from its home', () => {
    expect(lintOf('libs/pipeline', "export { createClient } from '@clickhouse/client';\n")).toContain(
      'enforce-module-boundaries',
    );
    expect(lintOf('libs/pipeline', "export * from 'graphql';\n")).toContain('enforce-module-boundaries');
  });

  it('refuses the environment outside of an app’s configuration', () => {
    expect(lintOf('libs/service', 'export const home = process.env.HOME;\n')).toContain('no-restricted-properties');
  });

  it('allows what the layers allow', () => {
    expect(lintOf('libs/pipeline', "export { createLogger } from '@tidemark/service';\n")).toBe('');
  });

  it('keeps download addresses out of the lock file', () => {
    expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toContain('"resolved": "http');
  });
});
