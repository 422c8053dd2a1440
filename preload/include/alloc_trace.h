/*
 * alloc_trace.h - the ring file: what a traced process keeps in shared memory, and its reader reads.
 *
 * This header is the only definition of the format. A test holds the TypeScript side (libs/alloc-trace) against it.
 *
 * One file per process and program image, `<run directory>/<pid>.ring`, on tmpfs, mode 0600, in a directory of mode 0700.
 * The library maps it; the reader uses plain pread and pwrite, which are coherent with the mapping on tmpfs. What was
 * written survives the death of either side.
 *
 * The file holds state, not a queue: every live allocation has an entry in a hash table, every site its totals. A
 * block that is freed leaves the table and only the totals tell of it, so that nothing waits for the reader, a slow
 * or dead reader loses nothing, and the free of a known block needs no room. What cannot be entered (no space left) is
 * counted as dropped.
 *
 * All fields are little endian. Offsets of regions are multiples of AT_PAGE. Regions are sparse: a group of AT_GROUP bytes
 * is only used after its bit was set in the region's bitmap, which is after the kernel promised memory for it
 * (MADV_POPULATE_WRITE), so that a full tmpfs never becomes a SIGBUS in the host program.
 *
 * Who writes what: `struct at_control` belongs to the reader, everything else to the library.
 */
#ifndef ALLOC_TRACE_H
#define ALLOC_TRACE_H

#include <stdint.h>

#define AT_MAGIC 0x4b52414d45444954ULL /* "TIDEMARK" */
#define AT_VERSION 1u

#define AT_PAGE 4096u
#define AT_GROUP 65536u
#define AT_CACHE_LINE 64u

#define AT_MAX_FRAMES 64u
#define AT_MAX_SITES 32768u
#define AT_MAX_MODULES 2048u
#define AT_MAX_LANES 256u
#define AT_LEVELS 4u
#define AT_MAX_INTERVALS 255u
#define AT_BUILD_ID_BYTES 32u

/* Site numbers with a meaning of their own. */
#define AT_SITE_NONE 0u     /* never a site */
#define AT_SITE_OVERFLOW 1u /* the table of sites is full: all that came later share this one */
#define AT_FIRST_SITE 2u

enum at_mode {
  AT_MODE_DORMANT = 0,
  AT_MODE_SAMPLED = 1,
  AT_MODE_EXACT = 2,
};

enum at_stacks {
  AT_STACKS_FULL = 0,   /* up to at_control.max_frames */
  AT_STACKS_CALLER = 1, /* the return address of the allocating call alone */
};

/* What became of the process image that owns the file. */
enum at_state {
  AT_STATE_STARTING = 0,
  AT_STATE_READY = 1,
  AT_STATE_EXITED = 2, /* ran its destructors; late frees may still follow */
  AT_STATE_EXECED = 3, /* replaced itself; the next image has a file of its own under the same name */
};

/* Why the library does not do what was asked of it (at_header.refusal). */
enum at_refusal {
  AT_REFUSAL_NONE = 0,
  AT_REFUSAL_SPACE = 1,    /* no memory left in the file system of the ring, or max_bytes reached */
  AT_REFUSAL_ADDRESS = 2,  /* RLIMIT_AS or the kernel left no room to map the regions */
  AT_REFUSAL_MODE = 3,     /* unknown mode or parameter in at_control */
};

/* Clock of `ticks` values. */
enum at_clock {
  AT_CLOCK_TSC = 1,       /* invariant x86 time stamp counter, or arm64 cntvct_el0 */
  AT_CLOCK_MONOTONIC = 2, /* CLOCK_MONOTONIC, nanoseconds */
};

enum at_kind {
  AT_KIND_HEAP = 0, /* malloc family */
  AT_KIND_MAP = 1,  /* anonymous mmap with access; recorded exactly in every mode. Unmapped in part it counts as a free of all
                       and an allocation of each rest, at the same site */
};

/*
 * Written by the reader with pwrite; read by the library on every call. `mode` is written last, one byte that varies, so
 * that it cannot tear. Own cache line: the library never writes it, but for the values from the environment, before the
 * file gets its name, and for `mode`, which it sets to dormant when the lease is over.
 *
 * `generation` grows by exactly one with every write, those that ask for dormancy included: the library cannot see that it was
 * dormant in between, and takes a larger step for a sign that it was (at_header.activation). It acts in the next call of a hook
 * that finds a mode: `applied` stays as it is while the process does not allocate, and when it goes dormant.
 */
struct at_control {
  uint32_t mode;            /* enum at_mode */
  uint32_t pulse;           /* changes whenever the reader looks; lets threads renew their cached clock */
  uint64_t sample_interval; /* mean bytes between samples */
  uint32_t stacks;          /* enum at_stacks */
  uint32_t max_frames;      /* 1 to AT_MAX_FRAMES */
  uint64_t max_bytes;       /* memory the file may take, populated groups; 0: no bound of its own */
  uint64_t lease_until;     /* CLOCK_BOOTTIME, milliseconds: past it the library goes dormant by itself; 0: never */
  uint64_t young_ns;        /* survival window: a block freed younger than this counts as cancelled */
  uint64_t generation;      /* number of the request; copied to at_header.applied when the library acts on it */
  uint64_t reserved;
};

/* Where a region lies in the file. */
struct at_region {
  uint64_t offset;
  uint64_t bytes;
  uint64_t bitmap;   /* file offset of its bitmap, one bit per AT_GROUP, lowest bit of the lowest byte first */
  uint32_t capacity; /* entries */
  uint32_t stride;   /* bytes per entry */
};

/* A moment on three clocks. `sequence` is odd while it is being written. */
struct at_moment {
  uint32_t sequence;
  uint32_t reserved;
  uint64_t ticks;
  uint64_t monotonic_ns;
  uint64_t realtime_ns;
};

#define AT_CONTROL_OFFSET 256u

/* First page of the file. */
struct at_header {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t file_bytes;
  uint32_t pid; /* as the process sees itself: inside its pid namespace */
  uint32_t parent;
  uint64_t start_time; /* field 22 of /proc/[pid]/stat, clock ticks since boot: with pid it names the process */
  uint32_t image;      /* how many times the process has called exec with the library in it, from 0 */
  uint32_t clock;      /* enum at_clock */
  uint32_t state;      /* enum at_state */
  uint32_t refusal;    /* enum at_refusal, of the last request */
  uint64_t applied;    /* at_control.generation that is in force */
  uint64_t activated_ticks; /* when the mode was last changed from dormant to another */
  struct at_moment first;   /* when the file was made */
  struct at_moment last;    /* renewed now and then by whoever is tracing: gives the rate of `ticks` */

  uint32_t module_count; /* published entries of the regions below: entries under the count are complete, */
  uint32_t site_count;   /* but for sites, whose `depth` is 0 until they are */
  uint32_t frame_count;
  uint32_t interval_count;
  uint64_t populated_bytes; /* memory that the file holds */

  uint64_t dropped_sites;  /* calls whose stack had to go to AT_SITE_OVERFLOW */
  uint64_t dropped_blocks; /* allocations that found no room in the table of live blocks; also in at_lane.dropped */

  /*
   * Counts the changes from dormant to another mode, from 1; 0: never. Blocks come and go unseen while the library is
   * dormant, so that what an earlier activation left is void: a lane counts only while at_lane.activation is this
   * number, and an at_live entry only when its ticks are not before activated_ticks. Changes between sampled and exact
   * are no new activation. Written before `applied`; the two sums above start again with it.
   */
  uint32_t activation;
  uint32_t reserved_a[(AT_CONTROL_OFFSET - 180) / 4];

  struct at_control control; /* offset AT_CONTROL_OFFSET */

  struct at_region modules;
  struct at_region sites;
  struct at_region frames;
  struct at_region lanes; /* stride: AT_LANE_BYTES; bitmap 0: each lane has its own */
  struct at_region live[AT_LEVELS];

  uint64_t intervals[AT_MAX_INTERVALS + 1]; /* sample intervals in use, by at_live.interval; [0] is 0: exact */
  char program[128];                        /* basename of the executable, NUL terminated */
};

/* A loaded object. Entries are never changed but for `unloaded`. */
struct at_module {
  uint64_t start; /* mapped address range */
  uint64_t end;
  uint64_t bias; /* what was added to the addresses of the file */
  uint32_t unloaded; /* 1 after dlclose: another module may lie there now */
  uint16_t build_id_bytes;
  uint16_t path_bytes;
  uint8_t build_id[AT_BUILD_ID_BYTES];
  char path[448]; /* as the dynamic linker knows it; NUL terminated; the main program's is /proc/self/exe read once */
};

/*
 * A frame is module << 48 | address in the file of the module, where the address is that of the return, so one past the
 * call. Module 0 means that no module was there: the low 48 bits are then the address in memory. Numbers of modules and
 * sites are indices into their regions, and module_count and site_count are one past the highest index: entry 0 of the
 * modules and the entries below AT_FIRST_SITE of the sites stay zero.
 */
typedef uint64_t at_frame;

#define AT_FRAME_MODULE(frame) ((uint32_t)((frame) >> 48))
#define AT_FRAME_ADDRESS(frame) ((frame) & 0xffffffffffffULL)

enum at_site_flags {
  AT_SITE_TRUNCATED = 1, /* there were more frames than max_frames, or the stack could not be walked to its end */
  AT_SITE_CALLER = 2,    /* only the caller was taken */
  AT_SITE_MAP = 4,       /* anonymous mmap */
};

/* A distinct stack that allocates. Frames innermost first, the library's own left out. */
struct at_site {
  uint64_t hash;
  uint32_t first_frame; /* index into the frames region */
  uint16_t depth;       /* written last; 0: not there yet */
  uint16_t flags;       /* enum at_site_flags */
  uint64_t first_ticks; /* when it was first seen */
  uint64_t reserved;
};

/*
 * Totals of one site in one lane. Only the lane's owner writes, so they are exact; live = allocations - frees over all
 * lanes (one lane alone can be negative: another thread frees). Of exact calls.
 */
struct at_site_counts {
  uint64_t allocations;
  uint64_t frees;
  uint64_t allocated_bytes;
  uint64_t freed_bytes;
  uint64_t old_frees; /* part of frees: the block had outlived young_ns (freed after all) */
  uint64_t old_freed_bytes;
  uint64_t reserved[2];
};

/*
 * Estimates of one site in one lane, of sampled calls. A block of s bytes is sampled with P = 1 - exp(-s / R); it stands
 * for 1 / P blocks and s / P bytes, with variance s^2 (1 - P) / P^2 of the bytes and (1 - P) / P^2 of the count.
 */
struct at_site_estimates {
  uint64_t samples;
  uint64_t freed_samples;
  double allocations;
  double allocated_bytes;
  double frees;
  double freed_bytes;
  double variance_count; /* of allocations */
  double variance_bytes; /* of allocated_bytes */
};

/*
 * Per-thread counts. A lane outlives its thread and is taken over by a later one; the counts go on. Lane 0 is shared by
 * all that have no lane of their own (too many threads, a signal handler inside a hook, a thread on its way out): its
 * counts are kept with atomic additions.
 *
 * issued = allocations + frees: every successful call; a realloc of a live block is one of each. Of these,
 *   cancelled  both halves of a block freed younger than at_control.young_ns, and in sampled mode all calls that the
 *              sampler passed over (passed_allocations + passed_frees)
 *   dropped    allocations without room in the table
 *   recorded   the rest
 */
struct at_lane {
  uint32_t owner;      /* tid, 0: free */
  uint32_t activation; /* at_header.activation that all the figures below belong to; another: they count nowhere */
  uint64_t allocations; /* exact calls and samples; calls passed over are not in here */
  uint64_t frees;       /* exact calls and frees of samples */
  uint64_t passed_allocations; /* sampled mode: calls that were no sample */
  uint64_t passed_frees;
  uint64_t cancelled;       /* in exact mode: calls whose block died young, two for each block */
  uint64_t dropped;
  uint64_t unmatched_frees; /* exact mode, part of recorded: the block was not in the table (older than it, or dropped) */
  uint64_t failed;          /* calls that the allocator refused; counted nowhere else */
  int64_t remaining;        /* sampled mode: bytes until the next sample */
  uint64_t random;          /* state of the generator */
  uint64_t ticks;           /* cached clock */
  uint32_t ticks_uses;
  uint32_t ticks_pulse;
  uint8_t counts_groups[8];     /* bitmap of the counts below */
  uint8_t estimates_groups[8];  /* bitmap of the estimates below */
  uint8_t reserved_b[AT_PAGE - 120];
};

#define AT_LANE_COUNTS_OFFSET ((uint64_t)AT_GROUP)
#define AT_LANE_COUNTS_BYTES ((uint64_t)AT_MAX_SITES * sizeof(struct at_site_counts))
#define AT_LANE_ESTIMATES_OFFSET (AT_LANE_COUNTS_OFFSET + AT_LANE_COUNTS_BYTES)
#define AT_LANE_ESTIMATES_BYTES ((uint64_t)AT_MAX_SITES * sizeof(struct at_site_estimates))
#define AT_LANE_BYTES (AT_LANE_ESTIMATES_OFFSET + AT_LANE_ESTIMATES_BYTES)

/*
 * A live block. Entries lie in AT_LEVELS tables, each larger than the one before; a block goes to the first level that has
 * a free entry among the AT_WINDOW that start at its home (at_home; above level 0 one of several, at_home_of_choice). The entry is claimed by compare and swap of
 * `address`, and given back by a plain store: only the owner of a block may free it. `check` is 16 bits of at_check over
 * the other fields: a reader that caught the entry half-written sees that it does not fit.
 */
struct at_live {
  uint64_t address; /* 0: free; lowest bit set: being written */
  uint64_t size;    /* as asked for */
  uint64_t ticks;   /* when it was allocated */
  uint32_t site;
  uint16_t check;
  uint8_t interval; /* index into at_header.intervals; 0: exact */
  uint8_t kind;     /* enum at_kind */
};

#define AT_WINDOW 8u

/* Entries of each level: 2 MiB, 16 MiB, 128 MiB, 1 GiB when full. */
#define AT_LEVEL_ENTRIES(level) (65536u << (3u * (level)))

/* First entry of the window of an address; aligned to the window, so that it never wraps. */
static inline uint32_t at_home(uint64_t address, uint32_t level) {
  uint64_t mixed = (address >> 3) * 0x9e3779b97f4a7c15ULL;
  return ((uint32_t)(mixed >> 32) & (AT_LEVEL_ENTRIES(level) - 1u)) & ~(AT_WINDOW - 1u);
}

/*
 * Above level 0 a block may also lie in one of the windows of choices 1 to AT_CHOICES - 1, so that a level is nearly full before
 * the next one, which is eight times as large, is begun.
 */
#define AT_CHOICES 4u

static inline uint32_t at_home_of_choice(uint64_t address, uint32_t level, uint32_t choice) {
  return at_home(address + ((uint64_t)choice << 40), level);
}

static inline uint16_t at_check(uint64_t address, uint64_t size, uint64_t ticks, uint32_t site) {
  uint64_t mixed = address ^ (size << 7) ^ (ticks << 1) ^ ((uint64_t)site << 40);
  mixed *= 0xff51afd7ed558ccdULL;
  return (uint16_t)((mixed >> 48) | 1u);
}

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct at_control) == 64, "one cache line");
_Static_assert(__builtin_offsetof(struct at_header, control) == AT_CONTROL_OFFSET, "the reader writes here");
_Static_assert(sizeof(struct at_header) <= AT_PAGE, "the header is one page");
_Static_assert(sizeof(struct at_module) == 512, "stride");
_Static_assert(sizeof(struct at_site) == 32, "stride");
_Static_assert(sizeof(struct at_site_counts) == 64, "stride");
_Static_assert(sizeof(struct at_site_estimates) == 64, "stride");
_Static_assert(sizeof(struct at_lane) == AT_PAGE, "a page");
_Static_assert(sizeof(struct at_live) == 32, "stride");
#endif

#endif
