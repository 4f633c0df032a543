/* The series of a metric live in a hash table of fixed size whose chains only ever grow at their heads.  A reader
 * follows atomic pointers and needs no lock; whoever adds a series holds `adding` and publishes it with a release
 * store, after it is complete.  Nothing is ever freed.  Values are doubles inside atomic 64-bit words, added to by
 * compare and swap. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics_internal.h"

#define MOST_SERIES 2000 /* the one whose labels all read "other" included */
#define CHAINS 512       /* of a metric with labels */
#define LONGEST_VALUE 128

static const double default_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 0};

static pthread_mutex_t adding = PTHREAD_MUTEX_INITIALIZER;

/* The label values of one update, each NUL-terminated, one behind the other. */
struct labels {
  char text[METRIC_LABELS * (LONGEST_VALUE + 1)];
  size_t length;
  uint64_t hash;
};

unsigned metric_label_count(const struct metric *metric) {
  unsigned count = 0;
  while (count < METRIC_LABELS && metric->labels[count]) count++;
  return count;
}

static void hash_labels(struct labels *labels) {
  labels->hash = 0xCBF29CE484222325u; /* FNV-1a */
  for (size_t i = 0; i < labels->length; i++)
    labels->hash = (labels->hash ^ (unsigned char)labels->text[i]) * 0x100000001B3u;
}

static void add_label(struct labels *labels, const char *value) {
  size_t length = value ? strnlen(value, LONGEST_VALUE + 1) : 0;
  if (length > LONGEST_VALUE) {
    length = LONGEST_VALUE;
    while (length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80) length--; /* not inside a character */
  }
  if (length > 0) memcpy(labels->text + labels->length, value, length);
  labels->length += length;
  labels->text[labels->length++] = '\0';
}

static void take_labels(const struct metric *metric, struct labels *labels, va_list values) {
  unsigned count = metric_label_count(metric);
  labels->length = 0;
  for (unsigned i = 0; i < count; i++) add_label(labels, va_arg(values, const char *));
  hash_labels(labels);
}

static void other_labels(const struct metric *metric, struct labels *labels) {
  unsigned count = metric_label_count(metric);
  labels->length = 0;
  for (unsigned i = 0; i < count; i++) add_label(labels, "other");
  hash_labels(labels);
}

static unsigned bucket_count(const double *buckets) {
  unsigned count = 0;
  while (buckets[count] != 0) count++;
  return count;
}

/* The metric's state, made at its first use; NULL when out of memory. */
struct metric_state *metric_state(struct metric *metric) {
  struct metric_state *state = __atomic_load_n(&metric->state, __ATOMIC_ACQUIRE);
  if (state) return state;
  pthread_mutex_lock(&adding);
  state = __atomic_load_n(&metric->state, __ATOMIC_ACQUIRE);
  if (!state) {
    size_t chains = metric_label_count(metric) > 0 ? CHAINS : 1;
    state = calloc(1, sizeof *state + chains * sizeof state->chains[0]);
    if (state) {
      state->chain_count = chains;
      state->buckets = metric->buckets ? metric->buckets : default_buckets;
      state->bucket_count = metric->type == METRIC_HISTOGRAM ? bucket_count(state->buckets) : 0;
      __atomic_store_n(&metric->state, state, __ATOMIC_RELEASE);
    }
  }
  pthread_mutex_unlock(&adding);
  return state;
}

static struct series *find(struct metric_state *state, const struct labels *labels) {
  struct series *series = atomic_load_explicit(&state->chains[labels->hash % state->chain_count], memory_order_acquire);
  for (; series; series = series->next)
    if (series->hash == labels->hash && series->labels_length == labels->length &&
        memcmp(series->labels, labels->text, labels->length) == 0)
      return series;
  return NULL;
}

static struct series *series_new(struct metric_state *state, const struct labels *labels) {
  struct series *series = calloc(1, sizeof *series + (state->bucket_count + 1) * sizeof series->counts[0]);
  char *text = malloc(labels->length + 1);
  if (!series || !text) {
    free(series);
    free(text);
    return NULL;
  }
  memcpy(text, labels->text, labels->length);
  series->labels = text;
  series->labels_length = labels->length;
  series->hash = labels->hash;
  return series;
}

/* With `adding` held: the series of these labels, made when there is room; NULL otherwise. */
static struct series *find_or_add(struct metric_state *state, const struct labels *labels, unsigned most) {
  struct series *series = find(state, labels);
  if (series || state->series_count >= most) return series;
  series = series_new(state, labels);
  if (!series) return NULL;
  _Atomic(struct series *) *chain = &state->chains[labels->hash % state->chain_count];
  series->next = atomic_load_explicit(chain, memory_order_relaxed);
  state->series_count++;
  atomic_store_explicit(chain, series, memory_order_release);
  return series;
}

/* The series to update; the "other" one when the metric is full, NULL when out of memory. */
static struct series *series_for(struct metric *metric, const struct labels *labels) {
  struct metric_state *state = metric_state(metric);
  if (!state) return NULL;
  struct series *series = find(state, labels);
  if (series) return series;
  struct labels other;
  other_labels(metric, &other);
  if (atomic_load_explicit(&state->series_count, memory_order_relaxed) >= MOST_SERIES) series = find(state, &other);
  if (series) return series;
  pthread_mutex_lock(&adding);
  series = find_or_add(state, labels, MOST_SERIES - 1);
  if (!series) series = find_or_add(state, &other, MOST_SERIES);
  pthread_mutex_unlock(&adding);
  return series;
}

static double as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint64_t as_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

double metric_load(_Atomic uint64_t *word) { return as_double(atomic_load_explicit(word, memory_order_relaxed)); }

static void add_to(_Atomic uint64_t *word, double value) {
  uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
  while (!atomic_compare_exchange_weak_explicit(word, &before, as_bits(as_double(before) + value), memory_order_relaxed,
                                                memory_order_relaxed)) {}
}

void metric_add(struct metric *metric, double value, ...) {
  if (metric->type == METRIC_HISTOGRAM || isnan(value)) return;
  if (metric->type == METRIC_COUNTER && !(value >= 0 && isfinite(value))) return;
  struct labels labels;
  va_list values;
  va_start(values, value);
  take_labels(metric, &labels, values);
  va_end(values);
  struct series *series = series_for(metric, &labels);
  if (series) add_to(&series->value, value);
}

void metric_set(struct metric *metric, double value, ...) {
  if (metric->type != METRIC_GAUGE) return;
  struct labels labels;
  va_list values;
  va_start(values, value);
  take_labels(metric, &labels, values);
  va_end(values);
  struct series *series = series_for(metric, &labels);
  if (series) atomic_store_explicit(&series->value, as_bits(value), memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value, ...) {
  if (metric->type != METRIC_HISTOGRAM || isnan(value)) return;
  struct labels labels;
  va_list values;
  va_start(values, value);
  take_labels(metric, &labels, values);
  va_end(values);
  struct series *series = series_for(metric, &labels);
  if (!series) return;
  const struct metric_state *state = metric_state(metric);
  unsigned bucket = 0;
  while (bucket < state->bucket_count && value > state->buckets[bucket]) bucket++;
  atomic_fetch_add_explicit(&series->counts[bucket], 1, memory_order_relaxed);
  add_to(&series->value, value);
}

double metric_value(struct metric *metric, ...) {
  struct metric_state *state = __atomic_load_n(&metric->state, __ATOMIC_ACQUIRE);
  if (!state) return 0;
  struct labels labels;
  va_list values;
  va_start(values, metric);
  take_labels(metric, &labels, values);
  va_end(values);
  struct series *series = find(state, &labels);
  if (!series) return 0;
  if (metric->type != METRIC_HISTOGRAM) return metric_load(&series->value);
  uint64_t count = 0;
  for (unsigned i = 0; i <= state->bucket_count; i++)
    count += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
  return (double)count;
}

void metric_begin(struct metric *metric) {
  struct labels none = {.length = 0};
  hash_labels(&none);
  if (metric_label_count(metric) == 0) series_for(metric, &none);
}
