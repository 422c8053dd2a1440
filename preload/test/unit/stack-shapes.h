/*
 * stack-shapes.h - functions whose stacks look different. Each calls `leaf` at its innermost point. Built several times, with
 * and without frame pointers and optimisation.
 */
#ifndef STACK_SHAPES_H
#define STACK_SHAPES_H

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*shape_leaf)(void);

void shape_recursion(shape_leaf leaf, int depth);
void shape_variable(shape_leaf leaf, int depth); /* arrays of run-time size and alloca */
void shape_realigned(shape_leaf leaf, int depth);
void shape_many_arguments(shape_leaf leaf, int depth);
void shape_large_frame(shape_leaf leaf);
void shape_library_callback(shape_leaf leaf); /* qsort, bsearch, pthread_once */
void shape_tail(shape_leaf leaf, int depth);
void shape_registers(shape_leaf leaf, int depth); /* all callee-saved registers in use */
/* Library functions through the procedure linkage table, no leaf: to be stepped through. */
unsigned shape_linkage(int rounds);

void shape_exceptions(shape_leaf leaf, int depth); /* C++: in destructors and handlers while one is thrown */
void shape_containers(shape_leaf leaf);            /* C++: comparators, functions, sort */

#ifdef __cplusplus
}
#endif

#endif
