import type { StackFrame } from '@tidemark/contracts';

/**
 * Functions of the C library that set something up for the life of the process. In a run that is little more than its own
 * start they allocate all along and free nothing, like a leak.
 */
const SETUP = new Set([
  ...['setlocale', 'newlocale', 'bindtextdomain', 'bind_textdomain_codeset', 'tzset', 'iconv_open'],
  ...['call_init', '_dl_init', '_dl_open', 'dlopen', '_dl_allocate_tls', '_dl_start_user'],
  ...['__nss_module_load', '__nss_lookup_function', '__res_maybe_init', '__gconv_find_transform'],
]);
/** Above this a run is long enough for a set-up to be over, and for its birth times to tell, milliseconds. */
const SETUP_MS = 10_000;

/** The set-up function that a stack goes through, in a life too short to tell it from a leak; null when there is none. */
export function setupIn(frames: readonly StackFrame[], lifeMs: number): string | null {
  if (lifeMs > SETUP_MS) return null;
  // Symbol tables add the version of the symbol: setlocale@@GLIBC_2.2.5.
  const names = frames.map((frame) =>
    frame.function?.replace(/@.*$/, '').replace(/^__(GI_)*(?=newlocale|tzset|setlocale)/, ''),
  );
  return names.find((name): name is string => name !== undefined && SETUP.has(name)) ?? null;
}
