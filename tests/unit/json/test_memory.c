/* jansson on this module's memory: everything that is made, passed to other threads and let go of there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "json/value.h"

enum { THREADS = 4, ROUNDS = 40, ITEMS = 400 };

static void use_blocks(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT; /* before this program makes its first value */
  pthread_once(&once, json_use_blocks);
}

/* {"items": [{"id": "...", "number": n, "text": "xxx…" of n bytes}, …]} */
static json_t *document(int items) {
  json_t *list = json_array();
  for (int i = 0; i < items; i++) {
    char id[32], text[1200];
    snprintf(id, sizeof id, "sg-%08x", (unsigned)i);
    memset(text, 'a' + i % 26, sizeof text);
    json_array_append_new(list, json_pack("{s:s, s:i, s:s%}", "id", id, "number", i, "text", text, (size_t)i * 3));
  }
  return json_pack("{s:o}", "items", list);
}

static void check(const json_t *made, int items) {
  json_t *list = json_object_get(made, "items");
  assert_int_equal(json_array_size(list), items);
  for (int i = 0; i < items; i++) {
    json_t *item = json_array_get(list, (size_t)i), *text = json_object_get(item, "text");
    char id[32];
    snprintf(id, sizeof id, "sg-%08x", (unsigned)i);
    assert_string_equal(json_text_at(item, "id", NULL), id);
    assert_int_equal(json_integer_value(json_object_get(item, "number")), i);
    assert_int_equal(json_string_length(text), i * 3);
    const char *bytes = json_string_value(text);
    for (int n = 0; n < i * 3; n++) assert_int_equal(bytes[n], 'a' + i % 26);
  }
}

static void test_pieces_are_apart_and_aligned(void **state) {
  (void)state;
  use_blocks();
  json_t *values[2000];
  for (int i = 0; i < 2000; i++) {
    values[i] = json_integer(i);
    assert_int_equal((uintptr_t)values[i] % 16, 0);
  }
  for (int i = 0; i < 2000; i += 2) json_decref(values[i]);
  for (int i = 0; i < 2000; i += 2) values[i] = json_integer(-i);
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(json_integer_value(values[i]), i % 2 ? i : -i);
    json_decref(values[i]);
  }
}

static void test_small_and_large(void **state) {
  (void)state;
  use_blocks();
  for (int round = 0; round < 3; round++) {
    json_t *made = document(ITEMS);
    check(made, ITEMS);
    json_t *kept = json_incref(json_array_get(json_object_get(made, "items"), ITEMS / 2));
    json_decref(made); /* a part outlives the whole */
    json_t *other = document(ITEMS);
    assert_int_equal(json_integer_value(json_object_get(kept, "number")), ITEMS / 2);
    check(other, ITEMS);
    json_decref(kept);
    json_decref(other);
  }
}

static void test_texts_are_malloc_s(void **state) {
  (void)state;
  use_blocks();
  json_t *made = json_pack("{s:i, s:[f, n, b]}", "b", 1, "a", 0.5, 1);
  char *written = json_written(made), *text = json_text(made);
  assert_string_equal(written, "{\"b\":1,\"a\":[0.5,null,true]}");
  assert_string_equal(text, "{\"a\":[0.5,null,true],\"b\":1}");
  free(written);
  free(text);
  json_decref(made);
  assert_null(json_written(NULL));
}

/* Each makes documents, and lets go of what its neighbour made. */
static struct {
  pthread_barrier_t barrier;
  json_t *made[THREADS];
} shared;

static void *work(void *argument) {
  int own = (int)(intptr_t)argument;
  for (int round = 0; round < ROUNDS; round++) {
    shared.made[own] = document(50 + own * 30);
    pthread_barrier_wait(&shared.barrier);
    int other = (own + 1) % THREADS;
    check(shared.made[other], 50 + other * 30);
    json_decref(shared.made[other]);
    pthread_barrier_wait(&shared.barrier);
  }
  return NULL;
}

static void test_another_thread_lets_go(void **state) {
  (void)state;
  use_blocks();
  pthread_t threads[THREADS];
  for (int again = 0; again < 3; again++) { /* threads end, and others begin */
    pthread_barrier_init(&shared.barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&shared.barrier);
  }
}
