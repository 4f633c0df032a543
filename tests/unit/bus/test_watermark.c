#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "bus/bus_internal.h"

/* A slot that does not finish holds the position, whatever finishes behind it. */
static void test_holds_at_lowest_unfinished(void **state) {
  (void)state;
  struct watermark watermark;
  uint64_t slots[4];
  watermark_start(&watermark);
  assert_int_equal(watermark.position, -1);
  for (int i = 0; i < 4; i++) assert_int_equal(watermark_add(&watermark, 100 + i, &slots[i]), 0);
  assert_int_equal(watermark_finish(&watermark, slots[1]), 0);
  assert_int_equal(watermark_finish(&watermark, slots[3]), 0);
  assert_int_equal(watermark.position, -1);
  assert_int_equal(watermark_finish(&watermark, slots[0]), 1);
  assert_int_equal(watermark.position, 102);
  assert_int_equal(watermark_span(&watermark), 2);
  assert_int_equal(watermark_finish(&watermark, slots[2]), 1);
  assert_int_equal(watermark.position, 104);
  assert_int_equal(watermark_span(&watermark), 0);
  watermark_free(&watermark);
}

/* Offsets that the topic does not hold (compaction, transactions) are nothing to wait for. */
static void test_gaps(void **state) {
  (void)state;
  struct watermark watermark;
  uint64_t first, second;
  watermark_start(&watermark);
  assert_int_equal(watermark_add(&watermark, 5, &first), 0);
  assert_int_equal(watermark_add(&watermark, 900, &second), 0);
  watermark_finish(&watermark, first);
  assert_int_equal(watermark.position, 6);
  watermark_finish(&watermark, second);
  assert_int_equal(watermark.position, 901);
  watermark_free(&watermark);
}

/* A topic made anew starts at 0 again: the position follows, it does not stay high. */
static void test_offsets_going_back(void **state) {
  (void)state;
  struct watermark watermark;
  uint64_t slot;
  watermark_start(&watermark);
  assert_int_equal(watermark_add(&watermark, 5000, &slot), 0);
  watermark_finish(&watermark, slot);
  assert_int_equal(watermark_add(&watermark, 0, &slot), 0);
  watermark_finish(&watermark, slot);
  assert_int_equal(watermark.position, 1);
  watermark_free(&watermark);
}

/* Any order of finishing, against a plain model. */
static void test_random_order(void **state) {
  (void)state;
  enum { COUNT = 5000, WINDOW = 600 };
  static int64_t offsets[COUNT];
  static uint64_t slots[COUNT];
  static char done[COUNT];
  static int open[WINDOW];
  struct watermark watermark;
  unsigned seed = 7;
  watermark_start(&watermark);
  int added = 0, opened = 0, lowest = 0;
  int64_t offset = 0;
  while (added < COUNT || opened > 0) {
    if (added < COUNT && opened < WINDOW && (opened == 0 || rand_r(&seed) % 5 < 3)) {
      offset += 1 + rand_r(&seed) % 3;
      offsets[added] = offset;
      assert_int_equal(watermark_add(&watermark, offset, &slots[added]), 0);
      open[opened++] = added++;
    } else {
      int pick = rand_r(&seed) % opened;
      int which = open[pick];
      open[pick] = open[--opened];
      done[which] = 1;
      watermark_finish(&watermark, slots[which]);
      while (lowest < added && done[lowest]) lowest++;
      assert_int_equal(watermark.position, lowest == 0 ? -1 : offsets[lowest - 1] + 1);
      assert_int_equal(watermark_span(&watermark), added - lowest);
    }
  }
  assert_int_equal(watermark.position, offset + 1);
  watermark_free(&watermark);
}

/* What is done at sight moves the position where nothing is waited for, else waits in one place of the ring, however
 * much of it there is. */
static void test_passing(void **state) {
  (void)state;
  struct watermark watermark;
  uint64_t first, second;
  watermark_start(&watermark);
  assert_int_equal(watermark_pass(&watermark, 7), 0);
  assert_int_equal(watermark.position, 8);
  assert_int_equal(watermark.capacity, 0); /* and nothing was allocated */
  assert_int_equal(watermark_add(&watermark, 8, &first), 0);
  for (int i = 9; i < 100000; i++) assert_int_equal(watermark_pass(&watermark, i), 0);
  assert_int_equal(watermark_span(&watermark), 2);
  assert_int_equal(watermark.position, 8);
  assert_int_equal(watermark_add(&watermark, 100000, &second), 0);
  watermark_finish(&watermark, second);
  assert_int_equal(watermark_pass(&watermark, 100001), 0);
  assert_int_equal(watermark_span(&watermark), 3);
  assert_int_equal(watermark.position, 8);
  assert_int_equal(watermark_finish(&watermark, first), 1);
  assert_int_equal(watermark.position, 100002);
  assert_int_equal(watermark_span(&watermark), 0);
  watermark_free(&watermark);
}

/* The ring refuses to grow for ever. */
static void test_ceiling(void **state) {
  (void)state;
  struct watermark watermark;
  uint64_t slot;
  watermark_start(&watermark);
  for (size_t i = 0; i < WATERMARK_CEILING; i++) assert_int_equal(watermark_add(&watermark, (int64_t)i, &slot), 0);
  assert_int_equal(watermark_add(&watermark, 1 << 30, &slot), -1);
  assert_int_equal(watermark_finish(&watermark, 0), 1); /* and goes on once there is room */
  assert_int_equal(watermark_add(&watermark, 1 << 30, &slot), 0);
  watermark_free(&watermark);
}
