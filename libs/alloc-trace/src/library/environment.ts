/** What the library reads from the environment of the program it is loaded into. */
export interface LibrarySettings {
  library: string;
  /** Where the ring file is made. */
  directory: string;
  mode: 'DORMANT' | 'SAMPLED' | 'EXACT';
  sampleInterval: number;
  /** 1 takes the caller alone. */
  maxFrames: number;
  /** Programs that the process starts are traced, too. */
  follow: boolean;
}

/** The environment for a program, with the library put behind what is preloaded already. */
export function libraryEnvironment(base: NodeJS.ProcessEnv, settings: LibrarySettings): NodeJS.ProcessEnv {
  const preloaded = base['LD_PRELOAD'];
  const others = preloaded === undefined || preloaded === '' ? [] : [preloaded];
  return {
    ...base,
    LD_PRELOAD: [...others, settings.library].join(':'),
    TIDEMARK_DIR: settings.directory,
    TIDEMARK_MODE: settings.mode.toLowerCase(),
    TIDEMARK_INTERVAL: String(settings.sampleInterval),
    TIDEMARK_STACKS: settings.maxFrames === 1 ? 'caller' : 'full',
    TIDEMARK_MAX_FRAMES: String(settings.maxFrames),
    // The ring file outlives the process, so that its last state can be read.
    TIDEMARK_KEEP: '1',
    TIDEMARK_HIDE: '1',
    TIDEMARK_FOLLOW: settings.follow ? '1' : '0',
  };
}
