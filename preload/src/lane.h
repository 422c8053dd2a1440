/*
 * lane.h - the counts of a thread.
 */
#ifndef TIDEMARK_LANE_H
#define TIDEMARK_LANE_H

#include "clock.h"
#include "thread.h"

/* Where the counts of a call go. Without a lane of its own a thread adds to lane 0, with atomic additions. */
struct at_books {
  struct at_lane *lane;
  bool shared;
};

extern struct at_lane *at_lane_shared AT_INTERNAL; /* lane 0 */

/* Makes lane 0 ready for an activation: its counts start at zero. false: no memory for it. */
bool at_lane_activate(uint32_t activation);

/* Gives the thread a lane when there is one, and makes it count for the activation in force. May change errno. */
void at_lane_join(struct at_thread *self);

/* In a forked child: no lane is taken. */
void at_lane_forget(void);

uint64_t at_lane_renew(struct at_thread *self, struct at_lane *lane);

static inline struct at_books at_books_of(const struct at_thread *self) {
  struct at_lane *lane = self->lane;
  if (AT_LIKELY(lane != NULL)) return (struct at_books){lane, false};
  return (struct at_books){at_lane_shared, true};
}

static inline void at_add(uint64_t *count, uint64_t value, bool shared) {
  if (AT_LIKELY(!shared))
    *count += value;
  else
    __atomic_fetch_add(count, value, __ATOMIC_RELAXED);
}

/* The thread's clock, renewed every 16 uses and whenever the reader has looked. */
static inline uint64_t at_lane_ticks(struct at_thread *self, struct at_books books) {
  struct at_lane *lane = books.lane;
  if (AT_UNLIKELY(books.shared)) return at_clock_read();
  if (AT_LIKELY(lane->ticks_uses != 0 &&
                lane->ticks_pulse == __atomic_load_n(&at_header_page.header.control.pulse, __ATOMIC_RELAXED))) {
    lane->ticks_uses--;
    return lane->ticks;
  }
  return at_lane_renew(self, lane);
}

bool at_lane_use(struct at_books books, unsigned char *bitmap, uint64_t inner, uint32_t site);

#define AT_SITES_PER_GROUP (AT_GROUP / (uint32_t)sizeof(struct at_site_counts))

static inline bool at_lane_has(const unsigned char *bitmap, uint32_t site) {
  uint32_t group = site / AT_SITES_PER_GROUP;
  return (bitmap[group >> 3] & (1u << (group & 7))) != 0;
}

static inline struct at_site_counts *at_lane_counts_at(struct at_lane *lane, uint32_t site) {
  return (struct at_site_counts *)(void *)((unsigned char *)lane + AT_LANE_COUNTS_OFFSET) + site;
}

static inline struct at_site_estimates *at_lane_estimates_at(struct at_lane *lane, uint32_t site) {
  return (struct at_site_estimates *)(void *)((unsigned char *)lane + AT_LANE_ESTIMATES_OFFSET) + site;
}

/*
 * Counts of a site for the books, which become those of lane 0 when the thread's own have no memory; NULL: nor has that one. Lane 0
 * always has memory for a site that any lane counts, so that the free of a known block has room.
 */
static inline struct at_site_counts *at_lane_counts(struct at_books *books, uint32_t site) {
  if (AT_LIKELY(at_lane_has(books->lane->counts_groups, site)) ||
      at_lane_use(*books, books->lane->counts_groups, AT_LANE_COUNTS_OFFSET, site))
    return at_lane_counts_at(books->lane, site);
  *books = (struct at_books){at_lane_shared, true};
  return at_lane_has(at_lane_shared->counts_groups, site) ? at_lane_counts_at(at_lane_shared, site) : NULL;
}

static inline struct at_site_estimates *at_lane_estimates(struct at_books *books, uint32_t site) {
  if (AT_LIKELY(at_lane_has(books->lane->estimates_groups, site)) ||
      at_lane_use(*books, books->lane->estimates_groups, AT_LANE_ESTIMATES_OFFSET, site))
    return at_lane_estimates_at(books->lane, site);
  *books = (struct at_books){at_lane_shared, true};
  return at_lane_has(at_lane_shared->estimates_groups, site) ? at_lane_estimates_at(at_lane_shared, site) : NULL;
}

_Static_assert(sizeof(struct at_site_counts) == sizeof(struct at_site_estimates), "one number of sites per group");

#endif
