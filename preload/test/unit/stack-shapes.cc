#include "stack-shapes.h"

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Guard {
  shape_leaf leaf;
  int depth;
  ~Guard() {
    if (depth % 4 == 0) leaf();
  }
};

__attribute__((noinline)) void thrower(shape_leaf leaf, int depth) {
  Guard guard{leaf, depth};
  std::string text(static_cast<size_t>(depth) * 3 + 1, 'x');
  if (depth == 0) throw std::runtime_error(text);
  try {
    thrower(leaf, depth - 1);
  } catch (const std::runtime_error &error) {
    leaf();
    if (depth % 2 == 0) throw;
    throw std::runtime_error(error.what() + text);
  }
}

}  // namespace

extern "C" void shape_exceptions(shape_leaf leaf, int depth) {
  try {
    thrower(leaf, depth);
  } catch (const std::exception &) {
    leaf();
  }
}

extern "C" void shape_containers(shape_leaf leaf) {
  std::vector<int> values;
  for (int i = 0; i < 40; i++) values.push_back((i * 17) % 41);
  std::function<bool(int, int)> before = [leaf](int left, int right) {
    if (left % 5 == 0) leaf();
    return left < right;
  };
  std::sort(values.begin(), values.end(), before);
  auto order = [leaf](const std::string &left, const std::string &right) {
    leaf();
    return left < right;
  };
  std::map<std::string, int, decltype(order)> names(order);
  for (int value : values) names[std::to_string(value)] = value;
}
