import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TopicSpec } from '@tidemark/contracts';
import { EventLogError } from '../errors.js';
import { isMissing, removeFile, replaceFile, syncDirectory } from './disk.js';

export const JOURNAL_VERSION = 1;
const FORMAT = 'tidemark-journal';

/*
 * journal.json          format and version
 * LOCK.<number>         who holds the directory
 * CLEAN                 there after a clean close, gone while it is open
 * BOOT                  boot id of the machine at the last open
 * positions/            the groups' positions, a compacted partition
 * topics/<topic>/topic.json, topics/<topic>/<partition>/   segment files
 */

/** True when the directory is empty; throws when it is neither that nor a journal of this version. Changes nothing. */
export async function inspectDirectory(directory: string): Promise<boolean> {
  const path = join(directory, 'journal.json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (text === undefined) {
    const others = (await readdir(directory)).filter((name) => !name.startsWith('LOCK') && !name.endsWith('.tmp'));
    if (others.length === 0) return true;
    throw refused(`${directory} holds ${others[0]} and is not a journal: choose an empty directory`);
  }
  const found: { format?: unknown; version?: unknown } = parse(text);
  if (found.format !== FORMAT) throw refused(`${path} does not describe a journal: choose another directory`);
  if (found.version === JOURNAL_VERSION) return false;
  throw refused(
    `${directory} is of format version ${String(found.version)}, this build reads version ${JOURNAL_VERSION}: use the build that wrote it, or move the directory away`,
  );
}

/** Makes an empty directory a journal. Call it with the lock held. */
export async function prepareDirectory(directory: string): Promise<void> {
  if (!(await inspectDirectory(directory))) return;
  const description = JSON.stringify({ format: FORMAT, version: JOURNAL_VERSION });
  await replaceFile(join(directory, 'journal.json'), `${description}\n`, true);
}

function parse(text: string): object {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : {};
  } catch {
    return {};
  }
}

function refused(why: string): EventLogError {
  return new EventLogError('EVENT_LOG_JOURNAL', `journal: ${why}`, false);
}

/**
 * Notes that the journal is open now. True when the machine died since it was last open: then what was written may be
 * gone although a consumer saw it, and no offset that was perhaps given out must be given out again.
 */
export async function noteOpen(directory: string, boot: string): Promise<boolean> {
  const path = join(directory, 'BOOT');
  const before = (await readFile(path, 'utf8').catch(() => boot)).trim();
  const clean = await readFile(join(directory, 'CLEAN')).then(
    () => true,
    () => false,
  );
  await replaceFile(path, `${boot}\n`);
  await removeFile(join(directory, 'CLEAN'));
  // On disk before anything is written: a mark that came back after a power failure would lie.
  await syncDirectory(directory);
  return !clean && before !== boot;
}

export async function noteClosed(directory: string): Promise<void> {
  await replaceFile(join(directory, 'CLEAN'), '');
}

export async function readTopics(directory: string): Promise<TopicSpec[]> {
  const topics = join(directory, 'topics');
  await mkdir(topics, { recursive: true, mode: 0o700 });
  const specs: TopicSpec[] = [];
  for (const name of (await readdir(topics)).sort()) {
    const path = join(topics, name, 'topic.json');
    const text = await readFile(path, 'utf8').catch(() => undefined);
    // Without it the topic was never wholly made, and has no record.
    if (text === undefined) continue;
    const spec = parse(text) as Partial<TopicSpec>;
    if (!spec.partitions) throw refused(`${path} is damaged: write {"partitions":…,"cleanup":…,"retentionMs":…} anew`);
    specs.push({ ...(spec as TopicSpec), name });
  }
  return specs;
}

export async function writeTopic(directory: string, spec: TopicSpec): Promise<string> {
  const path = join(directory, 'topics', spec.name);
  await mkdir(path, { recursive: true, mode: 0o700 });
  await replaceFile(join(path, 'topic.json'), `${JSON.stringify(spec)}\n`, true);
  return path;
}
