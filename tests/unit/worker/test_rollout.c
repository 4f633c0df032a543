/* Where a playbook's version acts, by the operator's record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rollout.h"

#include <cmocka.h>

#define CANARY "\"accounts\": [\"111111111111\"]"
#define UNITS "\"units\": [\"workloads/dev*\"]"

static void test_stages(void **state) {
  (void)state;
  static const struct {
    const char *rollout;
    int64_t version;
    const char *account, *unit;
    int acts;
  } rows[] = {
      /* nobody said anything: as ever */
      {NULL, 1, "111111111111", "", 1},
      {"{\"version\": 2, \"stage\": \"all\"}", 2, "222222222222", "", 1},
      {"{\"version\": 2, \"stage\": \"shadow\", " CANARY "}", 2, "111111111111", "workloads/dev", 0},
      /* canaries, and nobody else */
      {"{\"version\": 2, \"stage\": \"canary\", " CANARY ", " UNITS "}", 2, "111111111111", "", 1},
      {"{\"version\": 2, \"stage\": \"canary\", " CANARY ", " UNITS "}", 2, "222222222222", "workloads/dev", 0},
      /* units, and the canaries still */
      {"{\"version\": 2, \"stage\": \"units\", " CANARY ", " UNITS "}", 2, "222222222222", "workloads/dev/a", 1},
      {"{\"version\": 2, \"stage\": \"units\", " CANARY ", " UNITS "}", 2, "111111111111", "other", 1},
      {"{\"version\": 2, \"stage\": \"units\", " CANARY ", " UNITS "}", 2, "222222222222", "workloads/prod", 0},
      {"{\"version\": 2, \"stage\": \"units\", " UNITS "}", 2, "222222222222", "", 0},
      /* the version before goes on as it did; the one behind waits */
      {"{\"version\": 2, \"stage\": \"shadow\"}", 1, "222222222222", "", 1},
      {"{\"version\": 2, \"stage\": \"all\"}", 3, "222222222222", "", 0},
      /* what nobody understands acts nowhere */
      {"{\"version\": 2, \"stage\": \"everywhere\"}", 2, "111111111111", "", 0},
      {"{\"version\": 2}", 2, "111111111111", "", 0},
      {"{}", 2, "111111111111", "", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *rollout = rows[i].rollout ? json_loads(rows[i].rollout, 0, NULL) : NULL;
    if (rollout_acts(rollout, rows[i].version, rows[i].account, rows[i].unit) != rows[i].acts)
      fail_msg("row %zu: %s", i, rows[i].rollout);
    json_decref(rollout);
  }
}
