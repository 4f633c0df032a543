/* Before an exception ends its owner hears of it, once. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "notices/notices.h"
#include "pipeline.h"

enum { HOLD_MS = 60000 };

/* An exception of a day is not announced as ending on its first: its last quarter is soon enough.  Until then it is
 * asked about again when the hold on it is over. */
static int is_early(const json_t *exception) {
  int64_t created, expires;
  if (clock_parse(json_text_at(exception, "created", NULL), &created) != 0 ||
      clock_parse(json_text_at(exception, "expires", NULL), &expires) != 0)
    return 0;
  int64_t quarter = (expires - created) / 4;
  return expires - clock_wall_ms() > (quarter > 2 * HOLD_MS ? quarter : 2 * HOLD_MS);
}

static int warn(struct worker *worker, const json_t *exception, struct error *error) {
  static const char *const members[] = {"guardrail", "account", "environment", "region", "resource", "owner"};
  const char *id = json_text_at(exception, "id", NULL), *owner = json_text_at(exception, "owner", NULL);
  char note[600], now[32];
  snprintf(note, sizeof note, "exception %s of %s ends at %s (%s); what it covers is then told, and later put right",
           id, owner, json_text_at(exception, "expires", NULL), json_text_at(exception, "reason", NULL));
  json_t *notice =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "outcome", "expiring", "severity", "medium", "arn", "", "actor",
                "", "action", "", "note", note, "time", clock_format(clock_wall_ms(), now, sizeof now));
  if (!notice) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    json_object_set_new(notice, members[i], json_string(json_text_at(exception, members[i], NULL)));
  notices_tell(worker, notice);
  json_decref(notice);
  log_info("an exception ends soon", LOG_TEXT("exception", id), LOG_TEXT("owner", owner));
  return state_exception_warned(worker->state, id, error);
}

void exceptions_warn(struct worker *worker) {
  struct error error = {0};
  json_t *list = NULL, *exception;
  size_t index;
  if (state_exceptions_expiring(worker->state, config_ms(worker->config, "exception.warn"), HOLD_MS, &list, &error) !=
      0)
    log_debug("exceptions' ends cannot be asked for", LOG_ERROR(&error));
  json_array_foreach(list, index, exception) if (!is_early(exception) && warn(worker, exception, &error) != 0)
      log_warn("a warning waits", LOG_TEXT("exception", json_text_at(exception, "id", NULL)), LOG_ERROR(&error));
  json_decref(list);
}
