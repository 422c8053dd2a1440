/*
 * stack-trees.h - random call trees whose allocations go through shared functions, and the same stack many times.
 */
#ifndef STACK_TREES_H
#define STACK_TREES_H

#include <stdint.h>

#include "stack-shapes.h"

/* A tree of calls up to `depth` deep, drawn from `random` (not 0): recursion, frames of run-time size, tail calls. */
void tree_random(shape_leaf leaf, uint64_t *random, int depth);
/* `times` calls of the leaf at one place, some `depth` frames deep. */
void tree_repeat(shape_leaf leaf, int depth, int times);
/* The same through sixteen callers of a shared function in turn. */
void tree_alternate(shape_leaf leaf, int depth, int times);

#endif
