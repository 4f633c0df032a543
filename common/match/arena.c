#include <stdlib.h>
#include <string.h>

#include "match/match_internal.h"

#define CHUNK_BYTES ((size_t)16 << 10)
#define CHUNK_BYTES_MOST ((size_t)1 << 20)

struct match_chunk {
  struct match_chunk *older;
  size_t used, size;
  _Alignas(16) char bytes[];
};

static struct match_chunk *grow(struct match_arena *arena, size_t bytes) {
  size_t size = arena->chunks ? arena->chunks->size * 2 : CHUNK_BYTES;
  if (size > CHUNK_BYTES_MOST) size = CHUNK_BYTES_MOST;
  if (size < bytes) size = bytes;
  size_t whole = sizeof(struct match_chunk) + size;
  if (whole > arena->ceiling || arena->total > arena->ceiling - whole) return NULL;
  struct match_chunk *chunk = calloc(1, whole);
  if (!chunk) return NULL;
  chunk->size = size;
  chunk->older = arena->chunks;
  arena->chunks = chunk;
  arena->total += whole;
  return chunk;
}

void *match_arena_take(struct match_arena *arena, size_t bytes) {
  if (bytes > arena->ceiling) return NULL;
  bytes = (bytes + 15) & ~(size_t)15;
  struct match_chunk *chunk = arena->chunks;
  if (!chunk || chunk->size - chunk->used < bytes) chunk = grow(arena, bytes);
  if (!chunk) return NULL;
  char *taken = chunk->bytes + chunk->used;
  chunk->used += bytes;
  return taken;
}

void *match_arena_array(struct match_arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
  return match_arena_take(arena, bytes);
}

char *match_arena_copy(struct match_arena *arena, const char *bytes, size_t length) {
  char *copy = match_arena_array(arena, length + 1, 1);
  if (copy && length > 0) memcpy(copy, bytes, length);
  return copy;
}

struct match_mark match_arena_mark(const struct match_arena *arena) {
  return (struct match_mark){arena->chunks, arena->chunks ? arena->chunks->used : 0};
}

void match_arena_rewind(struct match_arena *arena, struct match_mark mark) {
  while (arena->chunks != mark.chunk) {
    struct match_chunk *chunk = arena->chunks;
    arena->chunks = chunk->older;
    arena->total -= sizeof *chunk + chunk->size;
    free(chunk);
  }
  if (!arena->chunks) return;
  memset(arena->chunks->bytes + mark.used, 0, arena->chunks->used - mark.used);
  arena->chunks->used = mark.used;
}

void match_arena_free(struct match_arena *arena) { match_arena_rewind(arena, (struct match_mark){NULL, 0}); }
