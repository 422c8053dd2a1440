#define _GNU_SOURCE
#include "hide.h"

#include <string.h>
#include <unistd.h>

#include "hooks.h"
#include "settings.h"

#define VARIABLES 24u
#define PRELOAD "LD_PRELOAD="
#define PRELOAD_BYTES (sizeof PRELOAD - 1)

static char *hidden[VARIABLES]; /* strings of the first environment, which are never freed */
static size_t hidden_count;
static char own_path[512]; /* of the library, as LD_PRELOAD named it; empty: LD_PRELOAD is left alone */

static bool is_separator(char c) {
  return c == ':' || c == ' ';
}

static size_t entry_bytes(const char *entry) {
  return strcspn(entry, ": ");
}

static const char *name_in(const char *entry, size_t bytes) {
  const char *slash = memrchr(entry, '/', bytes);
  return slash != NULL ? slash + 1 : entry;
}

static bool is_ours(const char *entry, size_t bytes) {
  static const char name[] = "libtidemark.so";
  const char *start = name_in(entry, bytes);
  return (size_t)(entry + bytes - start) == sizeof name - 1 && memcmp(start, name, sizeof name - 1) == 0;
}

/* Takes our entry out of the list, in its place. Whether it was there. */
static bool take_out(char *list) {
  for (char *at = list; *at != '\0';) {
    while (is_separator(*at)) at++;
    size_t bytes = entry_bytes(at);
    if (bytes > 0 && bytes < sizeof own_path && is_ours(at, bytes)) {
      memcpy(own_path, at, bytes);
      char *rest = at + bytes;
      while (is_separator(*rest)) rest++;
      memmove(at, rest, strlen(rest) + 1);
      size_t left = strlen(list);
      while (left > 0 && is_separator(list[left - 1])) list[--left] = '\0';
      return true;
    }
    at += bytes;
  }
  return false;
}

static bool is_hidden(char *entry) {
  if (strncmp(entry, "TIDEMARK_", 9) == 0 && hidden_count < VARIABLES) {
    hidden[hidden_count++] = entry;
    return true;
  }
  if (strncmp(entry, PRELOAD, PRELOAD_BYTES) != 0) return false;
  char *list = entry + PRELOAD_BYTES;
  return take_out(list) && *list == '\0';
}

void at_hide_begin(void) {
  if (!at_settings.hide || at_settings.follow) return;
  char **to = environ;
  for (char **from = environ; *from != NULL; from++)
    if (!is_hidden(*from)) *to++ = *from;
  *to = NULL;
}

size_t at_hide_count(void) {
  return own_path[0] == '\0' ? 0 : hidden_count + 1;
}

static const char *preload_of(char *const *environment) {
  for (; *environment != NULL; environment++)
    if (strncmp(*environment, PRELOAD, PRELOAD_BYTES) == 0) return *environment + PRELOAD_BYTES;
  return "";
}

size_t at_hide_text_bytes(char *const *environment) {
  return PRELOAD_BYTES + strlen(own_path) + 1 + strlen(preload_of(environment)) + 1;
}

static bool has_name(char *const *environment, const char *entry) {
  size_t bytes = strcspn(entry, "=") + 1;
  for (; *environment != NULL; environment++)
    if (strncmp(*environment, entry, bytes) == 0) return true;
  return false;
}

static bool names_us(const char *list) {
  while (*list != '\0') {
    size_t bytes = entry_bytes(list);
    if (is_ours(list, bytes)) return true;
    list += bytes;
    while (is_separator(*list)) list++;
  }
  return false;
}

void at_hide_restore(char *const *environment, char **to, char *text) {
  const char *others = preload_of(environment);
  for (char *const *from = environment; *from != NULL; from++)
    if (strncmp(*from, PRELOAD, PRELOAD_BYTES) != 0) *to++ = *from;
  strcpy(text, PRELOAD);
  if (!names_us(others)) strcat(text, own_path);
  if (!names_us(others) && *others != '\0') strcat(text, ":");
  strcat(text, others);
  *to++ = text;
  for (size_t i = 0; i < hidden_count; i++)
    if (!has_name(environment, hidden[i])) *to++ = hidden[i];
  *to = NULL;
}
