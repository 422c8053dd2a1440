#define _GNU_SOURCE
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "extend.h"
#include "identity.h"
#include "layout.h"
#include "settings.h"

/* Since C libraries before 2.33 have no fstat of that name. */
static int stat_of(int directory, const char *name, struct stat *to) {
#if defined(SYS_newfstatat)
  return (int)syscall(SYS_newfstatat, directory, name, to, AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0));
#else
  return fstatat(directory, name, to, AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0));
#endif
}

static char final_name[32];
static char first_name[48];
static dev_t made_device;
static ino_t made_inode;

static void name_files(uint32_t pid) {
  char digits[16];
  at_identity_decimal(pid, digits);
  final_name[0] = first_name[0] = '\0';
  strcat(strcat(final_name, digits), ".ring");
  strcat(strcat(strcat(first_name, "."), final_name), ".new");
}

/* Descriptor of the run directory, made when missing; -1 when it is not ours alone. */
static int open_directory(void) {
  const char *path = at_settings.directory;
  if (*path == '\0') return -1;
  if (mkdir(path, 0700) != 0 && errno != EEXIST) {
    at_settings_say("cannot make the run directory", path);
    return -1;
  }
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) {
    at_settings_say("not a directory that can be opened", path);
    return -1;
  }
  struct stat found;
  if (stat_of(directory, "", &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == geteuid() &&
      (found.st_mode & 0077) == 0)
    return directory;
  at_settings_say("the run directory is not this user's alone (mode 0700)", path);
  close(directory);
  return -1;
}

/* The image before this one left its file under our name: we are the next of it. */
static uint32_t next_image(int directory, const struct at_header *ours) {
  int file = openat(directory, final_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return 0;
  struct at_header before;
  ssize_t got = pread(file, &before, sizeof before, 0);
  close(file);
  if (got != (ssize_t)sizeof before || before.magic != AT_MAGIC) return 0;
  if (before.pid != ours->pid || before.start_time != ours->start_time) return 0;
  return before.image + 1;
}

static bool fill_header(struct at_header *header, int directory) {
  memset(header, 0, sizeof *header);
  header->magic = AT_MAGIC;
  header->version = AT_VERSION;
  header->header_bytes = sizeof *header;
  if (!at_layout(header)) {
    at_settings_say("the limits of this process for files or address space leave no room", NULL);
    return false;
  }
  at_identity_fill(header);
  header->image = next_image(directory, header);
  header->clock = at_clock_counter ? AT_CLOCK_TSC : AT_CLOCK_MONOTONIC;
  header->state = AT_STATE_STARTING;
  at_clock_moment(&header->first);
  header->last = header->first;
  header->site_count = AT_FIRST_SITE;
  header->interval_count = 1;
  header->populated_bytes = 2 * AT_PAGE;
  header->control.sample_interval = at_settings.interval;
  header->control.stacks = at_settings.stacks;
  header->control.max_frames = at_settings.max_frames;
  header->control.max_bytes = at_settings.max_bytes;
  header->control.young_ns = at_settings.young_ns;
  return true;
}

/* Header and bitmaps are written, so that a full file system says so here instead of in a page fault. */
static bool write_start(int file, const struct at_header *header) {
  static const unsigned char zeros[AT_PAGE];
  return pwrite(file, header, sizeof *header, 0) == (ssize_t)sizeof *header &&
         pwrite(file, zeros, AT_PAGE - sizeof *header, sizeof *header) == (ssize_t)(AT_PAGE - sizeof *header) &&
         pwrite(file, zeros, AT_PAGE, AT_PAGE) == (ssize_t)AT_PAGE && ftruncate(file, (off_t)header->file_bytes) == 0;
}

static bool map_file(int file, const struct at_header *header) {
  uint64_t bytes = at_layout_first_part(header);
  unsigned char *base = at_extend_map(file, 0, bytes);
  if (base == NULL) return false;
  void *page = (void *)syscall(SYS_mmap, &at_header_page, AT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0L);
  if (page == MAP_FAILED || mprotect(base + AT_PAGE, AT_PAGE, PROT_READ | PROT_WRITE) != 0) {
    if (page != MAP_FAILED) at_file_detach(AT_MODE_DORMANT);
    syscall(SYS_munmap, base, bytes);
    return false;
  }
  at_extend_begin(base + header->lanes.offset,
                  header->live[1].capacity == 0 ? NULL : at_extend_map(file, header->live[1].offset, AT_PAGE), bytes);
  at_ring.base = base;
  return true;
}

bool at_file_make(void) {
  int directory = open_directory();
  if (directory < 0) return false;
  struct at_header header;
  name_files((uint32_t)getpid());
  bool made = false;
  if (fill_header(&header, directory)) {
    unlinkat(directory, first_name, 0);
    int file = openat(directory, first_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0) {
      struct stat found;
      made = stat_of(file, "", &found) == 0 && write_start(file, &header) && map_file(file, &header);
      made_device = found.st_dev;
      made_inode = found.st_ino;
      if (!made) unlinkat(directory, first_name, 0);
      close(file);
    }
    if (!made) at_settings_say("cannot make the ring file", strerror(errno));
  }
  close(directory);
  return made;
}

bool at_file_publish(void) {
  int directory = open_directory();
  if (directory < 0) return false;
  bool done = renameat(directory, first_name, directory, final_name) == 0;
  close(directory);
  return done;
}

void at_file_remove(void) {
  int directory = open(at_settings.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return;
  struct stat found;
  if (stat_of(directory, final_name, &found) == 0 && found.st_dev == made_device && found.st_ino == made_inode)
    unlinkat(directory, final_name, 0);
  close(directory);
}

bool at_file_reserve(uint64_t offset, uint64_t bytes) {
  int directory = open(at_settings.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0) return false;
  int file = openat(directory, final_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  close(directory);
  if (file < 0) return false;
  struct stat found;
  bool done = stat_of(file, "", &found) == 0 && found.st_dev == made_device && found.st_ino == made_inode &&
              syscall(SYS_fallocate, file, 0, (off_t)offset, (off_t)bytes) == 0;
  close(file);
  return done;
}

void at_file_detach(uint32_t mode) {
  static const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  syscall(SYS_mmap, &at_header_page, AT_PAGE, PROT_READ | PROT_WRITE, flags, -1, 0L);
  __atomic_store_n(&at_header_page.header.control.mode, mode, __ATOMIC_RELEASE);
}
