/* Buckets of API calls that the whole fleet shares. */
#include <stdio.h>

#include "state/state_internal.h"

#define MOST_TOKENS 1000

int state_budget_take(struct state *state, const char *bucket, const struct state_bucket *size, int64_t most,
                      struct state_tokens *tokens, struct error *error) {
  char burst[32], rate[32], reserve[32];
  struct state_call call;
  *tokens = (struct state_tokens){0};
  state_call_begin(&call, state, STATE_SCRIPT_budget_take);
  state_call_key(&call, "budget:", bucket);
  snprintf(burst, sizeof burst, "%.6f", size->burst);
  snprintf(rate, sizeof rate, "%.6f", size->per_second);
  snprintf(reserve, sizeof reserve, "%.6f", size->reserve);
  if (!(size->burst > 0 && size->burst <= 1e6 && size->per_second >= 0.001 && size->per_second <= 1e6))
    state_call_invalid(&call, "a bucket's burst and rate must be more than nothing, and at most a million");
  if (!(size->reserve >= 0 && size->reserve < 1)) state_call_invalid(&call, "a bucket's reserve is a part of it");
  state_call_text(&call, burst);
  state_call_text(&call, rate);
  state_call_text(&call, reserve);
  state_call_range(&call, "a number of tokens", most, 1, MOST_TOKENS);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_shape(reply, "iii", error);
  if (!failed)
    *tokens = (struct state_tokens){.count = reply->element[0]->integer,
                                    .wait_ms = reply->element[1]->integer,
                                    .factor = (double)reply->element[2]->integer / 1000};
  freeReplyObject(reply);
  return failed;
}

int state_budget_slow(struct state *state, const char *bucket, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_budget_slow);
  state_call_key(&call, "budget:", bucket);
  return state_call_done(&call, error);
}
