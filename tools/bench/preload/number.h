/*
 * number.h - natural numbers of any size, each in a small block of its own: every operation allocates its result. That is what a
 * program with reference counted values does all day, and the reason for this one.
 */
#ifndef NUMBER_H
#define NUMBER_H

#include <stdint.h>

typedef uint8_t limb;
#define LIMB_BITS 8

struct number {
  uint32_t references;
  uint32_t length; /* of limbs in use, lowest first; 0: the number is 0 */
  limb limbs[];
};

extern uint64_t numbers_made;

struct number *number_of(uint64_t value);
struct number *number_parse(const char *digits);
struct number *number_hold(struct number *number);
void number_drop(struct number *number);

int number_compare(const struct number *a, const struct number *b);
int number_is_zero(const struct number *a);
int number_is_one(const struct number *a);
uint32_t number_low(const struct number *a); /* the lowest 32 bits */

struct number *number_add(const struct number *a, const struct number *b);
struct number *number_subtract(const struct number *a, const struct number *b); /* a >= b */
struct number *number_multiply(const struct number *a, const struct number *b);
/* Both results are new; either may be NULL when nobody wants it. */
void number_divide(const struct number *a, const struct number *b, struct number **quotient, struct number **remainder);
struct number *number_modulo(const struct number *a, const struct number *b);
struct number *number_root(const struct number *a);
struct number *number_gcd(const struct number *a, const struct number *b);
void number_print(const struct number *a);

#endif
