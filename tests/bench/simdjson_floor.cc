// simdjson reading one field of every event on demand: the floor that bench_match is measured against.
//   simdjson_floor FILE VALUE      how many lines have VALUE in properties.STREET: prints "seconds count"
#include <simdjson.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

static double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static size_t pass(simdjson::ondemand::parser &parser, const simdjson::padded_string &text, std::string_view value) {
  size_t count = 0;
  const char *end = text.data() + text.size();
  for (const char *at = text.data(), *line_end; at < end; at = line_end + 1) {
    line_end = (const char *)memchr(at, '\n', (size_t)(end - at));
    if (!line_end) break;
    simdjson::padded_string_view line(at, (size_t)(line_end - at), (size_t)(end - at) + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document document;
    std::string_view street;
    if (parser.iterate(line).get(document) || document["properties"]["STREET"].get_string().get(street)) continue;
    count += street == value;
  }
  return count;
}

int main(int argc, char **argv) {
  simdjson::padded_string text;
  if (argc != 3 || simdjson::padded_string::load(argv[1]).get(text)) return 1;
  simdjson::ondemand::parser parser;
  double best = 1e9;
  size_t count = 0;
  for (int i = 0; i < 5; i++) {
    double start = now();
    count = pass(parser, text, argv[2]);
    best = std::min(best, now() - start);
  }
  std::printf("%.6f %zu %s\n", best, count, simdjson::get_active_implementation()->name().c_str());
}
