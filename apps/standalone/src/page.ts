import { fileURLToPath } from 'node:url';
import { createFileServer, type FileServer, type Logger } from '@tidemark/service';

/** The built page of `apps/web`; the path is the same from `src` and `dist`. */
const DIRECTORY = fileURLToPath(new URL('../../web/dist/page', import.meta.url));

/** The web page, or undefined where it was not built: all else works without it. */
export function openPage(logger: Logger): FileServer | undefined {
  try {
    return createFileServer({ directory: DIRECTORY });
  } catch (error) {
    logger.warn({ error: (error as Error).message }, 'there is no web page');
    return undefined;
  }
}
