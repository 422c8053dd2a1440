// new-delete.cc - every form of operator new and delete, each counted once. Prints one JSON line a case.
extern "C" {
#include "probe.h"
}

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

static struct tally tally;

struct alignas(256) Wide {
  char bytes[512];
};
struct Plain {
  char bytes[48];
};

static void *got(void *block, size_t size) {
  tally_allocation(&tally, block, size);
  return kept(block);
}

static void gone(size_t size) { tally_free(&tally, size); }

static void plain() {
  void *one = got(::operator new(100), 100);
  ::operator delete(one);
  gone(100);
  void *many = got(::operator new[](200), 200);
  ::operator delete[](many);
  gone(200);
}

static void sized() {
  void *one = got(::operator new(100), 100);
  ::operator delete(one, size_t(100));
  gone(100);
  void *many = got(::operator new[](200), 200);
  ::operator delete[](many, size_t(200));
  gone(200);
}

static void nothrow() {
  void *one = got(::operator new(100, std::nothrow), 100);
  ::operator delete(one, std::nothrow);
  gone(100);
  void *many = got(::operator new[](200, std::nothrow), 200);
  ::operator delete[](many, std::nothrow);
  gone(200);
}

static void aligned() {
  const std::align_val_t by{256};
  void *one = got(::operator new(512, by), 512);
  ::operator delete(one, by);
  gone(512);
  void *many = got(::operator new[](1024, by), 1024);
  ::operator delete[](many, by);
  gone(1024);
  void *sized_one = got(::operator new(512, by), 512);
  ::operator delete(sized_one, size_t(512), by);
  gone(512);
  void *quiet = got(::operator new(512, by, std::nothrow), 512);
  ::operator delete(quiet, by, std::nothrow);
  gone(512);
  void *quiet_many = got(::operator new[](512, by, std::nothrow), 512);
  ::operator delete[](quiet_many, by, std::nothrow);
  gone(512);
}

static void expressions() {
  auto *plain_one = static_cast<Plain *>(got(new Plain, sizeof(Plain)));
  delete plain_one;
  gone(sizeof(Plain));
  auto *wide = static_cast<Wide *>(got(new Wide, sizeof(Wide)));
  delete wide;
  gone(sizeof(Wide));
  auto *many = static_cast<Plain *>(got(new Plain[10], sizeof(Plain) * 10));
  delete[] many;
  gone(sizeof(Plain) * 10);
}

static void of_null() {
  ::operator delete(kept(nullptr));
  ::operator delete[](kept(nullptr));
}

// The runtime may throw and catch inside, and takes the exception from malloc: only `failed` is for comparison.
static void refused_quietly() {
  volatile size_t huge = size_t(PTRDIFF_MAX) - 4096;
  got(::operator new(huge, std::nothrow), huge);
}

static void containers() {
  std::vector<int> numbers;
  numbers.reserve(1000);
  tally_allocation(&tally, numbers.data(), 4000);
  std::string text(100, 'x');
  tally_allocation(&tally, &text, 101);
  auto shared = std::make_unique<Plain>();
  tally_allocation(&tally, shared.get(), sizeof(Plain));
  kept(numbers.data());
  kept(shared.get());
  gone(4000);
  gone(101);
  gone(sizeof(Plain));
}

static void run(const char *name, void (*body)()) {
  struct probe before, after;
  memset(&tally, 0, sizeof tally);
  probe_take(&before);
  body();
  probe_take(&after);
  say_case(name, &tally, &before, &after);
}

int main() {
  probe_open();
  run("plain", plain);
  run("sized", sized);
  run("nothrow", nothrow);
  run("aligned", aligned);
  run("expressions", expressions);
  run("of_null", of_null);
  run("refused_quietly", refused_quietly);
  run("containers", containers);
  return 0;
}
