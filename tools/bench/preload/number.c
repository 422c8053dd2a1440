/* number.c - see number.h. */
#include "number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline))

uint64_t numbers_made;

static APART struct number *make(uint32_t room) {
  struct number *made = malloc(sizeof *made + room * sizeof made->limbs[0]);
  if (!made) abort();
  made->references = 1;
  made->length = room;
  numbers_made++;
  return made;
}

static struct number *trim(struct number *number) {
  while (number->length && number->limbs[number->length - 1] == 0) number->length--;
  return number;
}

struct number *number_of(uint64_t value) {
  struct number *made = make(64 / LIMB_BITS);
  for (uint32_t i = 0; i < made->length; i++) made->limbs[i] = (limb)(value >> (i * LIMB_BITS));
  return trim(made);
}

struct number *number_hold(struct number *number) {
  number->references++;
  return number;
}

void number_drop(struct number *number) {
  if (number && --number->references == 0) free(number);
}

int number_compare(const struct number *a, const struct number *b) {
  if (a->length != b->length) return a->length < b->length ? -1 : 1;
  for (uint32_t i = a->length; i-- > 0;)
    if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
  return 0;
}

int number_is_zero(const struct number *a) { return a->length == 0; }
int number_is_one(const struct number *a) { return a->length == 1 && a->limbs[0] == 1; }
uint32_t number_low(const struct number *a) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < a->length && i < 32 / LIMB_BITS; i++) value |= (uint32_t)a->limbs[i] << (i * LIMB_BITS);
  return value;
}

APART struct number *number_add(const struct number *a, const struct number *b) {
  if (a->length < b->length) {
    const struct number *other = a;
    a = b;
    b = other;
  }
  struct number *sum = make(a->length + 1);
  uint64_t carry = 0;
  for (uint32_t i = 0; i < a->length; i++) {
    carry += (uint64_t)a->limbs[i] + (i < b->length ? b->limbs[i] : 0);
    sum->limbs[i] = (limb)carry;
    carry >>= LIMB_BITS;
  }
  sum->limbs[a->length] = (limb)carry;
  return trim(sum);
}

APART struct number *number_subtract(const struct number *a, const struct number *b) {
  struct number *rest = make(a->length);
  int64_t borrow = 0;
  for (uint32_t i = 0; i < a->length; i++) {
    int64_t difference = (int64_t)a->limbs[i] - (i < b->length ? b->limbs[i] : 0) + borrow;
    rest->limbs[i] = (limb)difference;
    borrow = difference < 0 ? -1 : 0;
  }
  return trim(rest);
}

APART struct number *number_multiply(const struct number *a, const struct number *b) {
  struct number *product = make(a->length + b->length);
  memset(product->limbs, 0, product->length * sizeof product->limbs[0]);
  for (uint32_t i = 0; i < a->length; i++) {
    uint64_t carry = 0;
    for (uint32_t j = 0; j < b->length; j++) {
      carry += (uint64_t)a->limbs[i] * b->limbs[j] + product->limbs[i + j];
      product->limbs[i + j] = (limb)carry;
      carry >>= LIMB_BITS;
    }
    product->limbs[i + b->length] = (limb)carry;
  }
  return trim(product);
}

static APART struct number *divide_by_limb(const struct number *a, limb divisor, limb *remainder) {
  struct number *quotient = make(a->length);
  uint64_t rest = 0;
  for (uint32_t i = a->length; i-- > 0;) {
    rest = rest << LIMB_BITS | a->limbs[i];
    quotient->limbs[i] = (limb)(rest / divisor);
    rest %= divisor;
  }
  *remainder = (limb)rest;
  return trim(quotient);
}

static APART struct number *shift_left(const struct number *a, unsigned bits) {
  struct number *shifted = make(a->length + 1);
  uint32_t carry = 0;
  for (uint32_t i = 0; i < a->length; i++) {
    carry |= (uint32_t)a->limbs[i] << bits;
    shifted->limbs[i] = (limb)carry;
    carry >>= LIMB_BITS;
  }
  shifted->limbs[a->length] = (limb)carry; /* not trimmed: the division wants the limb */
  return shifted;
}

/* rest -= divisor * factor, aligned at `at`; adds back when that was once too often. */
static limb subtract_multiple(struct number *rest, const struct number *divisor, uint32_t at, limb factor,
                                  uint32_t length) {
  uint64_t carry = 0;
  int64_t borrow = 0;
  for (uint32_t i = 0; i <= length; i++) {
    carry += (uint64_t)factor * (i < length ? divisor->limbs[i] : 0);
    int64_t difference = (int64_t)rest->limbs[at + i] - (int64_t)(limb)carry + borrow;
    rest->limbs[at + i] = (limb)difference;
    borrow = difference < 0 ? -1 : 0;
    carry >>= LIMB_BITS;
  }
  if (borrow == 0) return factor;
  carry = 0;
  for (uint32_t i = 0; i <= length; i++) {
    carry += (uint64_t)rest->limbs[at + i] + (i < length ? divisor->limbs[i] : 0);
    rest->limbs[at + i] = (limb)carry;
    carry >>= LIMB_BITS;
  }
  return (limb)(factor - 1);
}

/* Schoolbook division with a normalised divisor of two limbs or more. */
static APART struct number *divide_long(struct number *rest, const struct number *divisor, uint32_t length) {
  uint32_t places = rest->length - length;
  struct number *quotient = make(places);
  uint64_t top = divisor->limbs[length - 1], next = divisor->limbs[length - 2];
  for (uint32_t at = places; at-- > 0;) {
    uint64_t head = (uint64_t)rest->limbs[at + length] << LIMB_BITS | rest->limbs[at + length - 1];
    uint64_t guess = head / top, left = head % top;
    while (guess >> LIMB_BITS || guess * next > (left << LIMB_BITS | rest->limbs[at + length - 2])) {
      guess--;
      left += top;
      if (left >> LIMB_BITS) break;
    }
    quotient->limbs[at] = subtract_multiple(rest, divisor, at, (limb)guess, length);
  }
  return trim(quotient);
}

static void shift_right(struct number *a, unsigned bits) {
  if (bits)
    for (uint32_t i = 0; i < a->length; i++)
      a->limbs[i] = (limb)(a->limbs[i] >> bits | (i + 1 < a->length ? a->limbs[i + 1] << (LIMB_BITS - bits) : 0));
  trim(a);
}

APART void number_divide(const struct number *a, const struct number *b, struct number **quotient,
                         struct number **remainder) {
  struct number *whole, *rest;
  if (number_compare(a, b) < 0) {
    whole = number_of(0);
    rest = number_add(a, whole);
  } else if (b->length == 1) {
    limb left;
    whole = divide_by_limb(a, b->limbs[0], &left);
    rest = number_of(left);
  } else {
    unsigned bits = (unsigned)__builtin_clz(b->limbs[b->length - 1]) - (32 - LIMB_BITS);
    struct number *divisor = shift_left(b, bits);
    rest = shift_left(a, bits);
    whole = divide_long(rest, divisor, b->length);
    shift_right(rest, bits);
    number_drop(divisor);
  }
  if (quotient) *quotient = whole;
  else number_drop(whole);
  if (remainder) *remainder = rest;
  else number_drop(rest);
}

APART struct number *number_modulo(const struct number *a, const struct number *b) {
  struct number *rest;
  number_divide(a, b, NULL, &rest);
  return rest;
}

/* Newton's method, from above. */
APART struct number *number_root(const struct number *a) {
  struct number *two = number_of(2), *guess = number_of(1), *quotient, *sum, *next;
  for (uint32_t bits = 0; bits <= a->length * LIMB_BITS / 2; bits++) {
    next = number_multiply(guess, two);
    number_drop(guess);
    guess = next;
  }
  for (;;) {
    number_divide(a, guess, &quotient, NULL);
    sum = number_add(guess, quotient);
    number_divide(sum, two, &next, NULL);
    number_drop(quotient);
    number_drop(sum);
    if (number_compare(next, guess) >= 0) break;
    number_drop(guess);
    guess = next;
  }
  number_drop(next);
  number_drop(two);
  return guess;
}

APART struct number *number_gcd(const struct number *a, const struct number *b) {
  struct number *zero = number_of(0), *x = number_add(a, zero), *y = number_add(b, zero);
  while (!number_is_zero(y)) {
    struct number *rest = number_modulo(x, y);
    number_drop(x);
    x = y;
    y = rest;
  }
  number_drop(y);
  number_drop(zero);
  return x;
}

struct number *number_parse(const char *digits) {
  struct number *ten = number_of(10), *value = number_of(0);
  for (; *digits; digits++) {
    struct number *digit = number_of((uint64_t)(*digits - '0')), *shifted = number_multiply(value, ten);
    number_drop(value);
    value = number_add(shifted, digit);
    number_drop(shifted);
    number_drop(digit);
  }
  number_drop(ten);
  return value;
}

void number_print(const struct number *a) {
  char digits[256];
  int at = sizeof digits;
  struct number *rest = number_add(a, a), *two = number_of(2), *next;
  number_divide(rest, two, &next, NULL);
  number_drop(two);
  number_drop(rest);
  digits[--at] = 0;
  do {
    limb digit;
    rest = divide_by_limb(next, 10, &digit);
    number_drop(next);
    next = rest;
    digits[--at] = (char)('0' + digit);
  } while (!number_is_zero(next) && at > 0);
  number_drop(next);
  fputs(digits + at, stdout);
}
