#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_INTERVAL (512u * 1024u)
#define DEFAULT_YOUNG_MS 5000u

struct at_settings at_settings;

void at_settings_say(const char *what, const char *value) {
  if (!at_settings.verbose) return;
  char line[512] = "tidemark: ";
  size_t room = sizeof line - 2;
  strncat(line, what, room - strlen(line));
  if (value != NULL) {
    strncat(line, ": ", room - strlen(line));
    strncat(line, value, room - strlen(line));
  }
  strcat(line, "\n");
  ssize_t written = write(2, line, strlen(line));
  (void)written;
}

static bool flag(const char *name) {
  const char *value = getenv(name);
  if (value == NULL || strcmp(value, "0") == 0 || *value == '\0') return false;
  if (strcmp(value, "1") == 0) return true;
  at_settings_say(name, "must be 0 or 1");
  return false;
}

static uint64_t number(const char *name, uint64_t least, uint64_t most, uint64_t otherwise) {
  const char *text = getenv(name);
  if (text == NULL) return otherwise;
  uint64_t value = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    uint64_t digit = (uint64_t)(*at - '0');
    if (value > (UINT64_MAX - digit) / 10) break;
    value = value * 10 + digit;
  }
  if (at == text || *at != '\0' || value < least || value > most) {
    at_settings_say(name, "not a whole number in its range; the default is taken");
    return otherwise;
  }
  return value;
}

static uint32_t choice(const char *name, const char *const *names, uint32_t count) {
  const char *value = getenv(name);
  if (value == NULL) return 0;
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(value, names[i]) == 0) return i;
  at_settings_say(name, "unknown value; the default is taken");
  return 0;
}

static void read_directory(void) {
  const char *given = getenv("TIDEMARK_DIR");
  char *to = at_settings.directory;
  *to = '\0';
  if (given != NULL && *given != '\0') {
    if (strlen(given) < sizeof at_settings.directory)
      strcpy(to, given);
    else
      at_settings_say("TIDEMARK_DIR", "too long; nothing is traced");
    return;
  }
  strcpy(to, "/dev/shm/tidemark.");
  char digits[16];
  size_t at = sizeof digits;
  uint32_t uid = (uint32_t)geteuid();
  digits[--at] = '\0';
  do digits[--at] = (char)('0' + uid % 10);
  while ((uid /= 10) != 0);
  strcat(to, digits + at);
}

void at_settings_read(void) {
  static const char *const modes[] = {"dormant", "sampled", "exact"};
  static const char *const stacks[] = {"full", "caller"};
  at_settings.verbose = flag("TIDEMARK_VERBOSE");
  at_settings.mode = choice("TIDEMARK_MODE", modes, 3);
  at_settings.stacks = choice("TIDEMARK_STACKS", stacks, 2);
  at_settings.interval = number("TIDEMARK_INTERVAL", 1, 1ull << 40, DEFAULT_INTERVAL);
  at_settings.max_frames = (uint32_t)number("TIDEMARK_MAX_FRAMES", 1, AT_MAX_FRAMES, AT_MAX_FRAMES);
  at_settings.young_ns = 1000000u * number("TIDEMARK_YOUNG_MS", 0, 1ull << 40, DEFAULT_YOUNG_MS);
  at_settings.max_bytes = number("TIDEMARK_MAX_BYTES", 0, UINT64_MAX, 0);
  at_settings.seed = number("TIDEMARK_SEED", 0, UINT64_MAX, 0);
  at_settings.follow = flag("TIDEMARK_FOLLOW");
  at_settings.hide = flag("TIDEMARK_HIDE");
  at_settings.keep = flag("TIDEMARK_KEEP");
  read_directory();
}
