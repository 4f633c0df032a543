/* Between builder.c and build.c. */
#ifndef PARAPET_MATCH_BUILD_INTERNAL_H
#define PARAPET_MATCH_BUILD_INTERNAL_H

#include "match/set_internal.h"

struct match_builder {
  struct match_arena arena;
  struct match_rule *rules;
  size_t count, capacity;
};

#endif
