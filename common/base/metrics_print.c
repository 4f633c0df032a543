/* Prometheus text exposition, format 0.0.4. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/metrics_internal.h"

#define MOST_TABLES 32

/* `lock` guards both; tables are only ever added. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *tables[MOST_TABLES];
static size_t table_count;

void metrics_register(struct metric *table) {
  for (struct metric *metric = table; metric->name; metric++) metric_begin(metric);
  pthread_mutex_lock(&lock);
  size_t known = 0;
  while (known < table_count && tables[known] != table) known++;
  if (known == table_count) {
    if (table_count == MOST_TABLES) abort(); /* tables are part of the program: a programming error */
    tables[table_count++] = table;
  }
  pthread_mutex_unlock(&lock);
}

static void print_escaped(FILE *out, const char *text, int quotes) {
  for (; *text; text++) {
    if (*text == '\\')
      fputs("\\\\", out);
    else if (*text == '\n')
      fputs("\\n", out);
    else if (*text == '"' && quotes)
      fputs("\\\"", out);
    else
      fputc(*text, out);
  }
}

static void print_number(FILE *out, double value) {
  char text[40];
  if (isnan(value)) {
    fputs("NaN", out);
    return;
  }
  if (isinf(value)) {
    fputs(value > 0 ? "+Inf" : "-Inf", out);
    return;
  }
  snprintf(text, sizeof text, "%.15g", value);
  if (strtod(text, NULL) != value) snprintf(text, sizeof text, "%.17g", value);
  fputs(text, out);
}

/* name_suffix{label="value",…,le="bound"}, `bound` NULL for none. */
static void print_series_name(FILE *out, const struct metric *metric, const char *suffix, const struct series *series,
                              const double *bound) {
  unsigned count = metric_label_count(metric);
  const char *value = series->labels;
  fprintf(out, "%s%s", metric->name, suffix);
  if (count == 0 && !bound) {
    fputc(' ', out);
    return;
  }
  fputc('{', out);
  for (unsigned i = 0; i < count; i++) {
    fprintf(out, "%s%s=\"", i ? "," : "", metric->labels[i]);
    print_escaped(out, value, 1);
    fputc('"', out);
    value += strlen(value) + 1;
  }
  if (bound) {
    fputs(count ? ",le=\"" : "le=\"", out);
    print_number(out, *bound);
    fputc('"', out);
  }
  fputs("} ", out);
}

static void print_histogram(FILE *out, const struct metric *metric, const struct metric_state *state,
                            struct series *series) {
  uint64_t count = 0;
  for (unsigned i = 0; i <= state->bucket_count; i++) {
    double bound = i < state->bucket_count ? state->buckets[i] : INFINITY;
    count += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
    print_series_name(out, metric, "_bucket", series, &bound);
    fprintf(out, "%llu\n", (unsigned long long)count);
  }
  print_series_name(out, metric, "_sum", series, NULL);
  print_number(out, metric_load(&series->value));
  fputc('\n', out);
  print_series_name(out, metric, "_count", series, NULL);
  fprintf(out, "%llu\n", (unsigned long long)count);
}

static void print_series(FILE *out, const struct metric *metric, const struct metric_state *state,
                         struct series *series) {
  if (metric->type == METRIC_HISTOGRAM) {
    print_histogram(out, metric, state, series);
    return;
  }
  print_series_name(out, metric, "", series, NULL);
  print_number(out, metric_load(&series->value));
  fputc('\n', out);
}

static void print_metric(FILE *out, struct metric *metric) {
  static const char *const types[] = {
      [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
  struct metric_state *state = metric_state(metric);
  if (!state) return;
  fprintf(out, "# HELP %s ", metric->name);
  print_escaped(out, metric->help ? metric->help : "", 0);
  fprintf(out, "\n# TYPE %s %s\n", metric->name, types[metric->type]);
  for (size_t i = 0; i < state->chain_count; i++) {
    struct series *series = atomic_load_explicit(&state->chains[i], memory_order_acquire);
    for (; series; series = series->next) print_series(out, metric, state, series);
  }
}

void metrics_print(FILE *out) {
  struct metric *present[MOST_TABLES];
  pthread_mutex_lock(&lock);
  size_t count = table_count;
  memcpy(present, tables, sizeof present);
  pthread_mutex_unlock(&lock);
  for (size_t i = 0; i < count; i++)
    for (struct metric *metric = present[i]; metric->name; metric++) print_metric(out, metric);
}
