# The programs of the tests: `make tests`. CC=clang and TEST_OUT=DIR build them a second time elsewhere.
TEST_OUT ?= build/test
TEST_CXX = $(if $(findstring clang,$(CC)),clang++,$(CXX))
TEST_WARN = -Wall -Wextra -Werror -Iinclude
TEST_CFLAGS = -std=gnu11 $(TEST_WARN) -O1 -g -fno-builtin -D_FORTIFY_SOURCE=0

RING_SOURCES = test/ring-reader.c test/ring-layout.c
PROBE_SOURCES = test/probe.c test/ring-reader.c
TEST_HEADERS = test/ring-reader.h test/probe.h include/alloc_trace.h

TEST_PROGRAMS = entry-points map-entry-points leak-churn-cache threads until-killed signals processes early-late \
  plugin-loop hostile
TEST_OBJECTS = plugin.so safe-allocator.so

UNIT_WARN = -Wall -Wextra -Werror -iquote src -iquote include
UNIT_CFLAGS = -std=gnu11 -O1 -g $(UNIT_WARN) -fno-sanitize-recover=all
UNIT_TESTS = live-test-threads live-test-addresses sampler-test
UNIT_HEADERS = $(wildcard src/*.h) include/alloc_trace.h

.PHONY: tests unit-tests
tests: $(addprefix $(TEST_OUT)/,ring-dump fuzz-ring new-delete $(TEST_PROGRAMS) $(TEST_OBJECTS))
unit-tests: $(addprefix $(TEST_OUT)/,$(UNIT_TESTS))

$(TEST_OUT):
	mkdir -p $@

$(TEST_OUT)/ring-dump: test/ring-dump.c $(RING_SOURCES) $(TEST_HEADERS) | $(TEST_OUT)
	$(CC) $(TEST_CFLAGS) -O2 -o $@ test/ring-dump.c $(RING_SOURCES) -lm

$(TEST_OUT)/fuzz-ring: test/fuzz-ring.c $(RING_SOURCES) $(TEST_HEADERS) | $(TEST_OUT)
	$(CC) $(TEST_CFLAGS) -fsanitize=address,undefined -fno-sanitize-recover=all -o $@ test/fuzz-ring.c $(RING_SOURCES)

$(TEST_OUT)/new-delete: test/new-delete.cc $(PROBE_SOURCES) $(TEST_HEADERS) | $(TEST_OUT)
	$(CC) $(TEST_CFLAGS) -c -o $(TEST_OUT)/new-delete-probe.o test/probe.c
	$(CC) $(TEST_CFLAGS) -c -o $(TEST_OUT)/new-delete-reader.o test/ring-reader.c
	$(TEST_CXX) -std=c++17 $(TEST_WARN) $(if $(findstring clang,$(CC)),-fsized-deallocation) -O1 -g -fno-builtin -o $@ test/new-delete.cc $(TEST_OUT)/new-delete-probe.o \
	  $(TEST_OUT)/new-delete-reader.o

$(addprefix $(TEST_OUT)/,$(TEST_PROGRAMS)): $(TEST_OUT)/%: test/%.c $(PROBE_SOURCES) $(TEST_HEADERS) | $(TEST_OUT)
	$(CC) $(TEST_CFLAGS) -o $@ $< $(PROBE_SOURCES) -pthread -ldl -rdynamic $(TEST_LIBS)

$(addprefix $(TEST_OUT)/,$(TEST_OBJECTS)): $(TEST_OUT)/%.so: test/%.c | $(TEST_OUT)
	$(CC) $(TEST_CFLAGS) -fPIC -shared -o $@ $<

# Parts of the library by themselves, under the sanitizers.
$(TEST_OUT)/live-test-threads: test/unit/live-test.c src/live.c $(UNIT_HEADERS) | $(TEST_OUT)
	$(CC) $(UNIT_CFLAGS) -fsanitize=thread -o $@ test/unit/live-test.c src/live.c -pthread

$(TEST_OUT)/live-test-addresses: test/unit/live-test.c src/live.c $(UNIT_HEADERS) | $(TEST_OUT)
	$(CC) $(UNIT_CFLAGS) -fsanitize=address,undefined -o $@ test/unit/live-test.c src/live.c -pthread

$(TEST_OUT)/sampler-test: test/unit/sampler-test.c src/sampler.c $(UNIT_HEADERS) | $(TEST_OUT)
	$(CC) $(UNIT_CFLAGS) -O2 -fsanitize=address,undefined -o $@ test/unit/sampler-test.c src/sampler.c -lm
