# The programs of the tests. Works by itself (`make -f test/test.mk tests` in preload/) and included by ../Makefile.
TEST_OUT ?= build/test
TEST_CFLAGS ?= -O1 -g
TEST_WARN = -std=gnu11 -Wall -Wextra -Werror -Iinclude

RING_SOURCES = test/ring-reader.c test/ring-layout.c
RING_HEADERS = test/ring-reader.h include/alloc_trace.h

.PHONY: tests
tests: $(TEST_OUT)/ring-dump

$(TEST_OUT):
	mkdir -p $@

$(TEST_OUT)/ring-dump: test/ring-dump.c $(RING_SOURCES) $(RING_HEADERS) | $(TEST_OUT)
	$(CC) $(TEST_WARN) -O2 -g -o $@ test/ring-dump.c $(RING_SOURCES) -lm
