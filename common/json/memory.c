/* Memory for jansson's values.
 *
 * A document is a great many small pieces that come and go together: a page of a list has some tens of thousands, and
 * the C library's allocator spends more on them than parsing does.  Here a thread cuts pieces off a block from front to
 * back; a block counts its living pieces, and is used anew when the last one goes, whichever thread lets go of it.  A
 * piece that lives long keeps its block, so blocks are small.  (The idea is the region's of Hanson, "Fast Allocation
 * and Deallocation of Memory Based on Object Lifetimes", 1990, with a count in the place of an explicit end.) */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "json/value.h"

/* The sanitizers watch malloc's own memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

enum {
  BLOCK_BYTES = 8192 - 16, /* with what malloc puts before it: two pages */
  LARGEST_PIECE = 512,     /* larger ones are malloc's */
  KEPT_BLOCKS = 128,       /* a thread keeps, to use them anew; the others go back to malloc */
  HEAD = sizeof(void *)    /* before every piece: its block, or NULL when it is malloc's own */
};
#define CUTTING ((uint32_t)1 << 30) /* added to a block's count while a thread cuts pieces off it */

struct block {
  _Atomic uint32_t living; /* pieces */
  uint32_t cut;            /* pieces so far: its thread's own */
  size_t used;             /* bytes: its thread's own */
  struct block *next;      /* of the kept ones */
};
/* Heads stand 8 bytes off, so that pieces are aligned to 16. */
_Static_assert(sizeof(struct block) % 16 == 8 && HEAD == 8, "pieces are aligned to 16 bytes");

static _Thread_local struct {
  struct block *current, *kept;
  int kept_count;
} mine;

static pthread_key_t thread_end;

static void let_go(struct block *block) {
  if (mine.kept_count >= KEPT_BLOCKS) {
    free(block);
    return;
  }
  if (!mine.kept) pthread_setspecific(thread_end, &mine); /* also of a thread that only lets go */
  block->next = mine.kept;
  mine.kept = block;
  mine.kept_count++;
}

static void take_off(struct block *block, uint32_t count) {
  if (atomic_fetch_sub_explicit(&block->living, count, memory_order_acq_rel) == count) let_go(block);
}

/* No more is cut off the current block: it goes with its last piece. */
static void retire(void) {
  struct block *block = mine.current;
  mine.current = NULL;
  if (block) take_off(block, CUTTING - block->cut);
}

static struct block *begin(void) {
  struct block *block = mine.kept;
  if (block) {
    mine.kept = block->next;
    mine.kept_count--;
  } else {
    block = malloc(BLOCK_BYTES);
    if (!block) return NULL;
    pthread_setspecific(thread_end, &mine);
  }
  atomic_init(&block->living, CUTTING);
  block->cut = 0;
  block->used = sizeof *block;
  return mine.current = block;
}

static void end_thread(void *unused) {
  (void)unused;
  retire();
  while (mine.kept) {
    struct block *block = mine.kept;
    mine.kept = block->next;
    free(block);
  }
  mine.kept_count = 0;
}

static void *take(size_t size) {
  if (size > LARGEST_PIECE) {
    char *bytes = size < SIZE_MAX / 2 ? malloc(2 * HEAD + size) : NULL;
    if (!bytes) return NULL;
    *(struct block **)(void *)(bytes + HEAD) = NULL;
    return bytes + 2 * HEAD;
  }
  size = (size + HEAD + 15) / 16 * 16;
  struct block *block = mine.current;
  if (!block || block->used + size > BLOCK_BYTES) {
    retire();
    block = begin();
    if (!block) return NULL;
  }
  char *bytes = (char *)block + block->used;
  *(struct block **)(void *)bytes = block;
  block->used += size;
  block->cut++;
  return bytes + HEAD;
}

static void give_back(void *piece) {
  if (!piece) return;
  char *bytes = (char *)piece - HEAD;
  struct block *block = *(struct block **)(void *)bytes;
  if (block)
    take_off(block, 1);
  else
    free(bytes - HEAD);
}

void json_use_blocks(void) {
#ifdef SANITIZED
  (void)take, (void)give_back, (void)end_thread;
#else
  if (pthread_key_create(&thread_end, end_thread) == 0) json_set_alloc_funcs(take, give_back);
#endif
}
