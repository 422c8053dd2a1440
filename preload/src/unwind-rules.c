#include "unwind-rules.h"

#include <string.h>

#include "cfi.h"
#include "modules.h"
#include "unwind.h"

struct at_rule_entry at_rules[1u << AT_RULES_BITS] __attribute__((aligned(64)));

#if defined(__x86_64__)
/* mov $15, %rax (by either encoding); syscall: what signal handlers return to. */
static bool is_trampoline(const struct at_object *object, uint64_t address) {
  static const uint8_t wide[9] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
  static const uint8_t narrow[7] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
  if (address < object->start || address >= object->end || object->end - address < sizeof wide) return false;
  /* an address that a stray walk has found may lie between the segments of the object */
  if (!at_unwind_readable(address, address + sizeof wide)) return false;
  const void *code = (const void *)(uintptr_t)address;
  return memcmp(code, wide, sizeof wide) == 0 || memcmp(code, narrow, sizeof narrow) == 0;
}

static uint64_t make_rule(const struct at_object *object, uint64_t address) {
  /* The table knows the trampoline as the code of one byte before it, and says of it what the kernel's frame is. */
  if (is_trampoline(object, address)) return AT_RULE_SIGNAL;
  struct at_cfi_table table = {(const uint8_t *)(uintptr_t)object->table, object->start, object->end};
  return at_cfi_rule(&table, address - 1);
}
#else
static uint64_t make_rule(const struct at_object *object, uint64_t address) {
  (void)object;
  (void)address;
  return AT_RULE_POINTER;
}
#endif

static void put(struct at_rule_entry *entry, uint64_t key, uint64_t rule, at_frame frame) {
  __atomic_store_n(&entry->key, key, __ATOMIC_RELAXED);
  __atomic_store_n(&entry->rule, rule, __ATOMIC_RELAXED);
  __atomic_store_n(&entry->frame, frame, __ATOMIC_RELAXED);
}

/* The newest goes first, what was first second. */
static void insert(uint64_t address, uint64_t stamp, uint64_t rule, at_frame frame) {
  uint64_t mixed = at_rules_mix(address);
  struct at_rule_entry *entry = &at_rules[mixed >> (64 - AT_RULES_BITS)];
  struct at_rule_entry *other = &at_rules[(mixed >> (64 - AT_RULES_BITS)) ^ 1];
  put(other, __atomic_load_n(&entry->key, __ATOMIC_RELAXED), __atomic_load_n(&entry->rule, __ATOMIC_RELAXED),
      __atomic_load_n(&entry->frame, __ATOMIC_RELAXED));
  put(entry, at_rules_key(mixed, stamp, rule, frame), rule, frame);
}

static at_frame make_frame(const struct at_object *object, uint64_t address) {
  if (at_modules_own(object)) return AT_FRAME_OWN;
  uint64_t number = at_modules_number(object);
  if (number == 0) return AT_FRAME_ADDRESS(address);
  return number << 48 | AT_FRAME_ADDRESS(address - object->bias);
}

void at_rules_get(uint64_t address, uint64_t stamp, uint64_t *rule, at_frame *frame) {
  if (at_rules_find(address, stamp, rule, frame)) return;
  struct at_object object;
  if (at_modules_find(address - 1, &object)) {
    *rule = make_rule(&object, address);
    *frame = make_frame(&object, address);
  } else {
    at_modules_unknown();
    *rule = AT_RULE_POINTER;
    *frame = AT_FRAME_ADDRESS(address);
  }
  if ((stamp & AT_STAMP_CLOSING) == 0) insert(address, stamp, *rule, *frame);
}
