/*
 * minimize.c - minimises random logic functions as espresso does (Brayton et al. 1984: expand, irredundant, reduce by tautology on
 * cofactors). Covers are lists of cubes, each cube a block of its own; recursion makes and drops whole lists of many sizes, and
 * the results of earlier functions stay alive.
 *
 *   minimize FUNCTIONS [VARIABLES] [CUBES]     prints the literals before and after, and how many cubes were made
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APART __attribute__((noinline))

/* Two bits a variable: 01 must be 0, 10 must be 1, 11 either. */
struct cube {
  uint32_t words;
  uint32_t bits[];
};

struct cover {
  uint32_t count, room;
  struct cube **cubes;
};

static uint32_t variables, words;
static uint64_t cubes_made, state = 88172645463325252ull;

static uint32_t next_random(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)((state >> 32) % below);
}

static APART struct cube *cube_make(void) {
  struct cube *cube = malloc(sizeof *cube + words * sizeof cube->bits[0]);
  if (!cube) abort();
  cube->words = words;
  cubes_made++;
  return cube;
}

static struct cube *cube_full(void) {
  struct cube *cube = cube_make();
  memset(cube->bits, 0xff, words * sizeof cube->bits[0]);
  return cube;
}

static APART struct cube *cube_copy(const struct cube *from) {
  struct cube *cube = cube_make();
  memcpy(cube->bits, from->bits, words * sizeof cube->bits[0]);
  return cube;
}

static uint32_t literal(const struct cube *cube, uint32_t variable) {
  return cube->bits[variable / 16] >> (variable % 16 * 2) & 3;
}

static void set_literal(struct cube *cube, uint32_t variable, uint32_t value) {
  uint32_t shift = variable % 16 * 2;
  cube->bits[variable / 16] = (cube->bits[variable / 16] & ~(3u << shift)) | value << shift;
}

static int cube_is_full(const struct cube *cube) {
  for (uint32_t v = 0; v < variables; v++)
    if (literal(cube, v) != 3) return 0;
  return 1;
}

/* Do they share a point? Each variable must keep a value. */
static int cubes_meet(const struct cube *a, const struct cube *b) {
  for (uint32_t w = 0; w < words; w++) {
    uint32_t both = a->bits[w] & b->bits[w];
    if (((both | both >> 1) & 0x55555555u) != 0x55555555u) return 0;
  }
  return 1;
}

static APART struct cover *cover_make(uint32_t room) {
  struct cover *cover = malloc(sizeof *cover);
  *cover = (struct cover){ 0, room ? room : 1, malloc((room ? room : 1) * sizeof(struct cube *)) };
  return cover;
}

static APART void cover_add(struct cover *cover, struct cube *cube) {
  if (cover->count == cover->room) {
    cover->room += cover->room / 2 + 4;
    cover->cubes = realloc(cover->cubes, cover->room * sizeof *cover->cubes);
  }
  cover->cubes[cover->count++] = cube;
}

static APART void cover_drop(struct cover *cover) {
  for (uint32_t i = 0; i < cover->count; i++) free(cover->cubes[i]);
  free(cover->cubes);
  free(cover);
}

/* What of the cover lies within `by`, seen from there; `but` is left out. */
static APART struct cover *cofactor(const struct cover *cover, const struct cube *by, const struct cube *but) {
  struct cover *result = cover_make(4);
  for (uint32_t i = 0; i < cover->count; i++) {
    const struct cube *one = cover->cubes[i];
    if (one == but || !cubes_meet(one, by)) continue;
    struct cube *seen = cube_copy(one);
    for (uint32_t w = 0; w < words; w++) seen->bits[w] |= ~by->bits[w];
    cover_add(result, seen);
  }
  return result;
}

/* The variable most cubes need both ways; `variables` when none is needed both ways. */
static uint32_t most_binate(const struct cover *cover) {
  uint32_t best = variables, most = 0;
  for (uint32_t v = 0; v < variables; v++) {
    uint32_t zeros = 0, ones = 0;
    for (uint32_t i = 0; i < cover->count; i++) {
      zeros += literal(cover->cubes[i], v) == 1;
      ones += literal(cover->cubes[i], v) == 2;
    }
    if (zeros && ones && zeros + ones > most) {
      most = zeros + ones;
      best = v;
    }
  }
  return best;
}

/* Is everything covered? Splits along one variable after the other. */
static APART int tautology(const struct cover *cover) {
  for (uint32_t i = 0; i < cover->count; i++)
    if (cube_is_full(cover->cubes[i])) return 1;
  uint32_t variable = most_binate(cover);
  if (cover->count < 2 || variable == variables) return 0; /* unate without a full cube */
  for (uint32_t value = 1; value <= 2; value++) {
    struct cube *half = cube_full();
    set_literal(half, variable, value);
    struct cover *rest = cofactor(cover, half, NULL);
    free(half);
    int all = tautology(rest);
    cover_drop(rest);
    if (!all) return 0;
  }
  return 1;
}

static APART int covers(const struct cover *cover, const struct cube *cube, const struct cube *but) {
  struct cover *seen = cofactor(cover, cube, but);
  int all = tautology(seen);
  cover_drop(seen);
  return all;
}

/* Leaves out of a cube every literal that the function can do without. */
static APART struct cube *expand_cube(const struct cover *cover, const struct cube *from) {
  struct cube *cube = cube_copy(from);
  for (uint32_t v = 0; v < variables; v++) {
    if (literal(cube, v) == 3) continue;
    struct cube *larger = cube_copy(cube);
    set_literal(larger, v, 3);
    if (covers(cover, larger, NULL)) {
      free(cube);
      cube = larger;
    } else {
      free(larger);
    }
  }
  return cube;
}

static APART struct cover *expand(const struct cover *cover) {
  struct cover *result = cover_make(cover->count);
  for (uint32_t i = 0; i < cover->count; i++) cover_add(result, expand_cube(cover, cover->cubes[i]));
  return result;
}

/* Drops every cube that the others cover. */
static APART void make_irredundant(struct cover *cover) {
  for (uint32_t i = 0; i < cover->count;) {
    if (covers(cover, cover->cubes[i], cover->cubes[i])) {
      free(cover->cubes[i]);
      cover->cubes[i] = cover->cubes[--cover->count];
    } else {
      i++;
    }
  }
}

static uint64_t literals(const struct cover *cover) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < cover->count; i++)
    for (uint32_t v = 0; v < variables; v++) sum += literal(cover->cubes[i], v) != 3;
  return sum;
}

static struct cover *random_function(uint32_t cubes) {
  struct cover *cover = cover_make(0);
  for (uint32_t i = 0; i < cubes; i++) {
    struct cube *cube = cube_full();
    for (uint32_t v = 0; v < variables; v++) {
      uint32_t what = next_random(8);
      if (what < 3) set_literal(cube, v, 1 + (what & 1));
    }
    cover_add(cover, cube);
  }
  return cover;
}

/* Every cube of the original must still be covered: the check of the result. */
static int same_function(const struct cover *before, const struct cover *after) {
  for (uint32_t i = 0; i < before->count; i++)
    if (!covers(after, before->cubes[i], NULL)) return 0;
  for (uint32_t i = 0; i < after->count; i++)
    if (!covers(before, after->cubes[i], NULL)) return 0;
  return 1;
}

static APART struct cover *minimise(const struct cover *function) {
  struct cover *larger = expand(function);
  make_irredundant(larger);
  return larger;
}

int main(int argc, char **argv) {
  uint32_t functions = argc > 1 ? (uint32_t)atoi(argv[1]) : 100;
  uint32_t most_variables = argc > 2 ? (uint32_t)atoi(argv[2]) : 24;
  uint32_t cubes = argc > 3 ? (uint32_t)atoi(argv[3]) : 40;
  struct cover **kept = calloc((size_t)functions * 2, sizeof *kept);
  uint64_t before = 0, after = 0;
  int same = 1;
  for (uint32_t f = 0; f < functions; f++) {
    variables = 8 + next_random(most_variables - 7);
    words = (variables + 15) / 16;
    struct cover *function = random_function(cubes / 2 + next_random(cubes));
    struct cover *smaller = minimise(function);
    same = same && same_function(function, smaller);
    before += literals(function);
    after += literals(smaller);
    kept[f * 2] = function;
    kept[f * 2 + 1] = smaller;
  }
  printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", before, after, cubes_made);
  return same ? 0 : 1;
}
