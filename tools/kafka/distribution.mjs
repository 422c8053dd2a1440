// Apache Kafka as its Maven artifacts: fetched once, kept in .cache/kafka/VERSION, checked by Maven's own checksums.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const KAFKA_VERSION = '4.3.0';
/** Of the bridge that brings the broker's own words to log4j, which Kafka depends on. */
const LOGGING_VERSION = '2.25.4';
const OLDEST_JAVA = 17;
const cache = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '.cache', 'kafka');

/** Why no broker can run on this host, in one line; undefined when one can. */
export function whyNoKafka() {
  const java = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (java.error) return `no java here: install a Java ${OLDEST_JAVA} runtime (Debian: openjdk-17-jre-headless)`;
  const version = Number(/version "(\d+)/.exec(java.stderr)?.[1] ?? 0);
  if (version < OLDEST_JAVA) return `java is version ${version}: Kafka ${KAFKA_VERSION} needs ${OLDEST_JAVA} or newer`;
  if (existsSync(join(cache, KAFKA_VERSION))) return undefined;
  if (spawnSync('mvn', ['-version']).error) return 'no mvn here to fetch Apache Kafka with: install Maven';
  return undefined;
}

/** Directory of the jars; fetches them when they are not there yet. Throws Error that says what is missing. */
export function kafkaJars(say = () => {}) {
  const directory = join(cache, KAFKA_VERSION);
  if (existsSync(directory)) return directory;
  const why = whyNoKafka();
  if (why) throw new Error(why);
  say(`Fetching Apache Kafka ${KAFKA_VERSION} with Maven (once, some 120 MB)`);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'fetch-'));
  try {
    writeFileSync(join(work, 'pom.xml'), pom());
    const args = ['-q', '-B', '-f', join(work, 'pom.xml'), 'dependency:copy-dependencies', '-DoutputDirectory=jars'];
    const { status, stdout, stderr } = spawnSync('mvn', args, { encoding: 'utf8', cwd: work });
    if (status !== 0) throw new Error(`Maven could not fetch Apache Kafka: ${lastLine(stdout + stderr)}`);
    if (!readdirSync(join(work, 'jars')).some((jar) => jar.startsWith('kafka_'))) {
      throw new Error('Maven fetched no kafka_2.13 jar: look into ~/.m2/settings.xml');
    }
    // Whoever fetched at the same time has fetched the same.
    if (!existsSync(directory)) renameSync(join(work, 'jars'), directory);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return directory;
}

function pom() {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidemark</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
  </dependency><dependency>
    <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>${LOGGING_VERSION}</version>
  </dependency></dependencies>
</project>
`;
}

function lastLine(text) {
  return (
    text
      .split('\n')
      .filter((line) => line.includes('ERROR'))
      .at(0)
      ?.slice(0, 300) ?? 'it said nothing'
  );
}
