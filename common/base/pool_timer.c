#include <stdlib.h>

#include "base/pool_internal.h"

static int earlier(const struct task *left, const struct task *right) {
  return left->due != right->due ? left->due < right->due : left->sequence < right->sequence;
}

static void swap(struct timer_heap *heap, size_t left, size_t right) {
  struct task *task = heap->tasks[left];
  heap->tasks[left] = heap->tasks[right];
  heap->tasks[right] = task;
}

int timer_add(struct timer_heap *heap, struct task *task) {
  if (heap->count == heap->capacity) {
    size_t capacity = heap->capacity ? heap->capacity * 2 : 64;
    struct task **tasks = realloc(heap->tasks, capacity * sizeof(struct task *));
    if (!tasks) return -1;
    heap->tasks = tasks;
    heap->capacity = capacity;
  }
  size_t at = heap->count++;
  heap->tasks[at] = task;
  while (at > 0 && earlier(heap->tasks[at], heap->tasks[(at - 1) / 2])) {
    swap(heap, at, (at - 1) / 2);
    at = (at - 1) / 2;
  }
  return 0;
}

struct task *timer_first(const struct timer_heap *heap) {
  return heap->count ? heap->tasks[0] : NULL;
}

struct task *timer_take(struct timer_heap *heap) {
  if (heap->count == 0) return NULL;
  struct task *first = heap->tasks[0];
  heap->tasks[0] = heap->tasks[--heap->count];
  for (size_t at = 0;;) {
    size_t least = at;
    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < heap->count; child++)
      if (earlier(heap->tasks[child], heap->tasks[least])) least = child;
    if (least == at) return first;
    swap(heap, at, least);
    at = least;
  }
}

void timer_free(struct timer_heap *heap) {
  free(heap->tasks);
  *heap = (struct timer_heap){0};
}
