/*
 * factor.c - factors a number by continued fractions (Morrison and Brillhart 1975), with numbers that live in small blocks: tens of
 * millions of short-lived allocations of 16 to 48 bytes, deep in nested calls.
 *
 *   factor NUMBER [PRIMES]     prints a factor, and how many numbers were made
 */
#include "number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline))
#define MOST_PRIMES 512

struct relation {
  struct number *root; /* root squared is the signed product of the primes, modulo n */
  uint8_t sign;        /* 1: negative */
  uint16_t powers[MOST_PRIMES];
};

struct search {
  struct number *n, *root_n;
  struct number *p, *q, *q_before, *a, *a_before; /* of the expansion of the square root of n */
  uint32_t primes[MOST_PRIMES];
  struct number *prime_numbers[MOST_PRIMES];
  uint32_t prime_count;
  struct relation *relations;
  uint32_t relation_count, relations_wanted;
};

static uint64_t power_modulo(uint64_t base, uint64_t exponent, uint64_t modulus) {
  uint64_t result = 1;
  for (base %= modulus; exponent; exponent >>= 1) {
    if (exponent & 1) result = result * base % modulus;
    base = base * base % modulus;
  }
  return result;
}

/* Only primes of which n is a quadratic residue can divide. */
static void choose_primes(struct search *search, uint32_t wanted) {
  for (uint32_t candidate = 2; search->prime_count < wanted; candidate++) {
    int prime = 1;
    for (uint32_t d = 2; d * d <= candidate && prime; d++) prime = candidate % d != 0;
    if (!prime) continue;
    struct number *as_number = number_of(candidate), *rest = number_modulo(search->n, as_number);
    uint32_t residue = number_low(rest);
    number_drop(rest);
    if (candidate > 2 && power_modulo(residue, (candidate - 1) / 2, candidate) > 1) {
      number_drop(as_number);
      continue;
    }
    search->primes[search->prime_count] = candidate;
    search->prime_numbers[search->prime_count++] = as_number;
  }
}

/* Takes out of *rest one prime as often as it divides. */
static APART uint16_t take_out(struct number **rest, const struct number *prime) {
  uint16_t power = 0;
  for (;;) {
    struct number *quotient, *remainder;
    number_divide(*rest, prime, &quotient, &remainder);
    int divides = number_is_zero(remainder);
    number_drop(remainder);
    if (!divides) {
      number_drop(quotient);
      return power;
    }
    number_drop(*rest);
    *rest = quotient;
    power++;
  }
}

static APART int try_smooth(struct search *search, struct relation *relation) {
  struct number *rest = number_hold(search->q);
  memset(relation->powers, 0, sizeof relation->powers);
  for (uint32_t i = 0; i < search->prime_count && !number_is_one(rest); i++)
    relation->powers[i] = take_out(&rest, search->prime_numbers[i]);
  int smooth = number_is_one(rest);
  number_drop(rest);
  return smooth;
}

/* One step of the expansion: P' = bQ - P, Q' = Q_before + b(P - P'), A' = bA + A_before modulo n. */
static APART void next_term(struct search *search) {
  struct number *sum = number_add(search->root_n, search->p), *b, *product, *p, *q, *a, *difference;
  number_divide(sum, search->q, &b, NULL);
  number_drop(sum);
  product = number_multiply(b, search->q);
  p = number_subtract(product, search->p);
  number_drop(product);
  if (number_compare(search->p, p) >= 0) {
    difference = number_subtract(search->p, p);
    product = number_multiply(b, difference);
    q = number_add(search->q_before, product);
  } else {
    difference = number_subtract(p, search->p);
    product = number_multiply(b, difference);
    q = number_subtract(search->q_before, product);
  }
  number_drop(difference);
  number_drop(product);
  product = number_multiply(b, search->a);
  sum = number_add(product, search->a_before);
  a = number_modulo(sum, search->n);
  number_drop(product);
  number_drop(sum);
  number_drop(b);
  number_drop(search->p);
  number_drop(search->q_before);
  number_drop(search->a_before);
  search->p = p;
  search->q_before = search->q;
  search->q = q;
  search->a_before = search->a;
  search->a = a;
}

static APART void collect(struct search *search) {
  uint32_t term = 0;
  while (search->relation_count < search->relations_wanted) {
    next_term(search); /* now a squared is q times (-1)^term modulo n */
    term++;
    struct relation *relation = &search->relations[search->relation_count];
    if (!number_is_one(search->q) && try_smooth(search, relation)) {
      relation->root = number_hold(search->a);
      relation->sign = term % 2;
      search->relation_count++;
    }
    if (number_is_one(search->q)) return; /* the period is over */
  }
}

/* A set of relations whose product is a square gives x^2 = y^2 modulo n. */
static APART struct number *try_set(struct search *search, const uint8_t *chosen) {
  static uint32_t powers[MOST_PRIMES];
  struct number *x = number_of(1), *y = number_of(1), *next;
  memset(powers, 0, sizeof powers);
  for (uint32_t r = 0; r < search->relation_count; r++) {
    if (!chosen[r]) continue;
    struct number *product = number_multiply(x, search->relations[r].root);
    next = number_modulo(product, search->n);
    number_drop(product);
    number_drop(x);
    x = next;
    for (uint32_t i = 0; i < search->prime_count; i++) powers[i] += search->relations[r].powers[i];
  }
  for (uint32_t i = 0; i < search->prime_count; i++)
    for (uint32_t k = 0; k < powers[i] / 2; k++) {
      struct number *product = number_multiply(y, search->prime_numbers[i]);
      next = number_modulo(product, search->n);
      number_drop(product);
      number_drop(y);
      y = next;
    }
  struct number *sum = number_add(x, y), *factor = number_gcd(sum, search->n);
  number_drop(sum);
  number_drop(x);
  number_drop(y);
  if (!number_is_one(factor) && number_compare(factor, search->n) != 0) return factor;
  number_drop(factor);
  return NULL;
}

static int odd(const struct relation *relation, uint32_t column) {
  return column == 0 ? relation->sign : relation->powers[column - 1] & 1;
}

/* Gaussian elimination over two elements; each row that vanishes is a set to try. */
static APART struct number *combine(struct search *search) {
  uint32_t rows = search->relation_count, columns = search->prime_count + 1;
  uint8_t *matrix = calloc(rows, columns), *made_of = calloc(rows, rows), *used = calloc(rows, 1);
  struct number *factor = NULL;
  for (uint32_t r = 0; r < rows; r++) {
    made_of[r * rows + r] = 1;
    for (uint32_t c = 0; c < columns; c++) matrix[r * columns + c] = (uint8_t)odd(&search->relations[r], c);
  }
  for (uint32_t c = 0; c < columns; c++) {
    uint32_t pivot = 0;
    while (pivot < rows && (used[pivot] || !matrix[pivot * columns + c])) pivot++;
    if (pivot == rows) continue;
    used[pivot] = 1;
    for (uint32_t r = 0; r < rows; r++) {
      if (r == pivot || !matrix[r * columns + c]) continue;
      for (uint32_t k = 0; k < columns; k++) matrix[r * columns + k] ^= matrix[pivot * columns + k];
      for (uint32_t k = 0; k < rows; k++) made_of[r * rows + k] ^= made_of[pivot * rows + k];
    }
  }
  for (uint32_t r = 0; r < rows && !factor; r++)
    if (!used[r]) factor = try_set(search, &made_of[r * rows]);
  free(matrix);
  free(made_of);
  free(used);
  return factor;
}

static APART struct number *find_factor(const char *digits, uint32_t primes) {
  struct search search = { 0 };
  search.n = number_parse(digits);
  search.root_n = number_root(search.n);
  choose_primes(&search, primes);
  search.relations_wanted = primes + 20;
  search.relations = calloc(search.relations_wanted, sizeof *search.relations);
  /* Before the first term: P = 0, Q = 1, Q_before = n, A = 1, A_before = 0. */
  search.p = number_of(0);
  search.q = number_of(1);
  search.q_before = number_hold(search.n);
  search.a = number_of(1);
  search.a_before = number_of(0);
  collect(&search);
  return combine(&search);
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  uint32_t primes = argc > 2 ? (uint32_t)atoi(argv[2]) : 150;
  struct number *factor = find_factor(argv[1], primes < MOST_PRIMES ? primes : MOST_PRIMES);
  if (factor) number_print(factor);
  else fputs("none", stdout);
  printf(" %" PRIu64 "\n", numbers_made);
  return factor ? 0 : 1;
}
