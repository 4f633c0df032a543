#include "event/reader.h"

int64_t event_pace_wait_ms(struct event_pace *pace, int64_t now_ms, int64_t event_ms) {
  int64_t due = now_ms;
  if (pace->count == 0) {
    pace->started_ms = now_ms;
    pace->first_event_ms = -1;
  }
  if (pace->rate > 0) {
    int64_t by_rate = pace->started_ms + (int64_t)((double)pace->count * 1000.0 / pace->rate);
    if (by_rate > due) due = by_rate;
  }
  if (pace->speed > 0 && event_ms >= 0) {
    if (pace->first_event_ms < 0) pace->first_event_ms = event_ms;
    int64_t by_time = pace->started_ms + (int64_t)((double)(event_ms - pace->first_event_ms) / pace->speed);
    if (by_time > due) due = by_time;
  }
  pace->count++;
  return due - now_ms;
}
