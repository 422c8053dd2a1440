# Tests of the stacks on their own: `make check-stack`; what they cost: `make bench-stack`.
STACK_OUT ?= build/stack
STACK_CXX = $(if $(findstring clang,$(CC)),clang++,$(CXX))
STACK_WARN = -Wall -Wextra -Werror -iquote include -iquote src -iquote test/unit
STACK_CFLAGS = -std=gnu11 -O2 -g -fPIC -fno-omit-frame-pointer $(STACK_WARN) $(STACK_FLAGS)
STACK_SOURCES = stack memo sites modules modules-elf modules-snapshot unwind unwind-pages unwind-rules cfi cfi-program \
  cfi-expression
STACK_HEADERS = $(wildcard src/*.h test/unit/*.h include/*.h)
STACK_OBJECTS = $(STACK_SOURCES:%=$(STACK_OUT)/%.o) $(STACK_OUT)/stack-stand.o
STACK_LIBS = -pthread -ldl

# Ways to build the shapes: what callers may look like.
STACK_SHAPES = O0 O2 O2-pointer Os
SHAPE_O0 = -O0
SHAPE_O2 = -O2 -fomit-frame-pointer
SHAPE_O2-pointer = -O2 -fno-omit-frame-pointer
SHAPE_Os = -Os -fomit-frame-pointer

.PHONY: check-stack bench-stack
.SECONDARY: $(STACK_OBJECTS)
check-stack: $(STACK_SHAPES:%=$(STACK_OUT)/walk-%) $(STACK_SHAPES:%=$(STACK_OUT)/memo-%)
	for test in $^; do echo $$test; $$test || exit 1; done

# The same, with a walk at each hit that must come to the same site; with the sanitizers.
.PHONY: check-stack-verify check-stack-asan
check-stack-verify:
	$(MAKE) check-stack STACK_OUT=$(STACK_OUT)/verify STACK_FLAGS=-DAT_MEMO_VERIFY
check-stack-asan:
	$(MAKE) check-stack STACK_OUT=$(STACK_OUT)/asan STACK_SHAPES="O0 O2" \
	  STACK_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	  STACK_LIBS="$(STACK_LIBS) -fsanitize=address,undefined"

$(STACK_OUT):
	mkdir -p $@

$(STACK_OUT)/%.o: src/%.c $(STACK_HEADERS) | $(STACK_OUT)
	$(CC) $(STACK_CFLAGS) -c -o $@ $<

$(STACK_OUT)/stack-stand.o: test/unit/stack-stand.c $(STACK_HEADERS) | $(STACK_OUT)
	$(CC) $(STACK_CFLAGS) -c -o $@ $<

$(STACK_OUT)/plugin-a.so: test/unit/stack-plugin.c | $(STACK_OUT)
	$(CC) $(STACK_WARN) -O2 -fPIC -shared -Wl,--build-id=sha1 -o $@ $<
$(STACK_OUT)/plugin-b.so: test/unit/stack-plugin.c | $(STACK_OUT)
	$(CC) $(STACK_WARN) -O2 -fPIC -shared -Wl,--build-id=sha1 -DPLUGIN_OTHER=64 -o $@ $<

$(STACK_OUT)/walk-%: test/unit/stack-walk-test.c test/unit/stack-shapes.c test/unit/stack-shapes.cc $(STACK_OBJECTS) \
  $(STACK_OUT)/plugin-a.so $(STACK_OUT)/plugin-b.so
	$(CC) -std=gnu11 -g $(STACK_WARN) $(SHAPE_$*) -c -o $@-shapes-c.o test/unit/stack-shapes.c
	$(STACK_CXX) -std=c++17 -g $(STACK_WARN) $(SHAPE_$*) -c -o $@-shapes-cc.o test/unit/stack-shapes.cc
	$(CC) -std=gnu11 -g $(STACK_WARN) $(SHAPE_$*) -DPLUGIN_A='"$(abspath $(STACK_OUT))/plugin-a.so"' \
	  -DPLUGIN_B='"$(abspath $(STACK_OUT))/plugin-b.so"' -c -o $@-test.o test/unit/stack-walk-test.c
	$(STACK_CXX) -o $@ -Wl,--build-id=sha1 $@-test.o $@-shapes-c.o $@-shapes-cc.o $(STACK_OBJECTS) $(STACK_LIBS)

$(STACK_OUT)/memo-%: test/unit/stack-memo-test.c test/unit/stack-trees.c $(STACK_OBJECTS) $(STACK_OUT)/plugin-a.so
	$(CC) -std=gnu11 -g $(STACK_WARN) $(SHAPE_$*) -c -o $@-trees.o test/unit/stack-trees.c
	$(CC) -std=gnu11 -g $(STACK_WARN) $(SHAPE_$*) -DPLUGIN_A='"$(abspath $(STACK_OUT))/plugin-a.so"' -c -o $@-test.o \
	  test/unit/stack-memo-test.c
	$(CC) -o $@ $@-test.o $@-trees.o $(STACK_OBJECTS) $(STACK_LIBS)

bench-stack: $(STACK_SHAPES:%=$(STACK_OUT)/bench-%)
	for bench in $^; do echo $$bench; $$bench || exit 1; done

$(STACK_OUT)/bench-%: test/unit/stack-bench.c test/unit/stack-trees.c $(STACK_OBJECTS)
	$(CC) -std=gnu11 -g $(STACK_WARN) $(SHAPE_$*) -c -o $@-trees.o test/unit/stack-trees.c
	$(CC) -std=gnu11 -O2 -g $(STACK_WARN) -c -o $@-test.o test/unit/stack-bench.c
	$(CC) -o $@ $@-test.o $@-trees.o $(STACK_OBJECTS) $(STACK_LIBS)
