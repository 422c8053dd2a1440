/* A library to be loaded and unloaded: calls back through frames of its own. */
typedef void (*plugin_leaf)(void);

static volatile int kept;

__attribute__((noinline)) static void inner(plugin_leaf leaf, int depth) {
  char room[16 + depth % 64];
  room[0] = (char)depth;
  if (depth == 0) leaf();
  else inner(leaf, depth - 1);
  kept += room[0];
}

void plugin_call(plugin_leaf leaf, int depth) {
#ifdef PLUGIN_OTHER
  volatile char other[400 + PLUGIN_OTHER];
  other[0] = 1;
  kept += other[0];
#endif
  inner(leaf, depth);
  kept++;
}
