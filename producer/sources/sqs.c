/* The sqs source: one queue a Region, or a list of queues. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "source.h"
#include "sqs_internal.h"

enum { QUEUES = 64 };

struct sqs {
  struct aws_role role;
  struct sqs_queue *queues[QUEUES];
  char *texts[2 * QUEUES]; /* URLs and Regions that the options point to */
  size_t count, text_count;
};

/* "REGION=URL", or a URL of AWS's own, whose host names the Region.  0, or -1. */
static int split_queue(const char *text, char *region, size_t size, const char **url) {
  const char *scheme = strstr(text, "://"), *equals = strchr(text, '=');
  if (!scheme) return -1;
  if (equals && equals < scheme) {
    *url = equals + 1;
    return snprintf(region, size, "%.*s", (int)(equals - text), text) < (int)size && equals > text ? 0 : -1;
  }
  *url = text;
  const char *host = scheme + 3;
  if (strncmp(host, "sqs.", 4) != 0 || !strstr(host, ".amazonaws.com")) return -1;
  size_t length = strcspn(host + 4, "./");
  return length > 0 && length < size && snprintf(region, size, "%.*s", (int)length, host + 4) > 0 ? 0 : -1;
}

static size_t count_of(const char *const *list) {
  size_t count = 0;
  while (list[count]) count++;
  return count;
}

static int wanted(const struct config *config, struct error *error) {
  const char *name = config_text(config, "sqs.queue"), *const *queues = config_list(config, "sqs.queues");
  const char *const *regions = config_list(config, "sqs.regions"), *url;
  char region[64];
  if (*name && !regions[0])
    return error_set(error, ERROR_INVALID, "Setting", "sqs.queue needs sqs.regions: the Regions that have it");
  if (*config_text(config, "sqs.role") && !*config_text(config, "sqs.account"))
    return error_set(error, ERROR_INVALID, "Setting", "sqs.role needs sqs.account: the account that the role is in");
  if (config_number(config, "sqs.in_flight") < SQS_BATCH * config_number(config, "sqs.receivers"))
    return error_set(error, ERROR_INVALID, "Setting", "sqs.in_flight must be at least ten for each of sqs.receivers");
  for (const char *const *queue = queues; *queue; queue++)
    if (split_queue(*queue, region, sizeof region, &url) != 0)
      return error_set(error, ERROR_INVALID, "Setting", "sqs.queues: \"%s\" must read REGION=URL, or be AWS's own URL",
                       *queue);
  size_t total = count_of(queues) + (*name ? count_of(regions) : 0);
  if (total > QUEUES)
    return error_set(error, ERROR_INVALID, "Setting", "one collector serves at most %d queues", QUEUES);
  return total > 0;
}

static int add_queue(struct sqs *sqs, struct sqs_options *options, struct error *error) {
  struct sqs_queue *queue = sqs_queue_start(options, error);
  if (!queue) return -1;
  sqs->queues[sqs->count++] = queue;
  return 0;
}

static const char *keep(struct sqs *sqs, const char *text) {
  char *copy = strdup(text);
  if (copy) sqs->texts[sqs->text_count++] = copy;
  return copy;
}

static int add_all(struct sqs *sqs, const struct config *config, struct sqs_options *options, struct error *error) {
  const char *name = config_text(config, "sqs.queue");
  for (const char *const *region = config_list(config, "sqs.regions"); *name && *region; region++) {
    options->name = name;
    options->region = *region;
    if (add_queue(sqs, options, error) != 0) return -1;
  }
  options->name = NULL;
  for (const char *const *queue = config_list(config, "sqs.queues"); *queue; queue++) {
    char region[64];
    if (split_queue(*queue, region, sizeof region, &options->url) != 0) continue; /* wanted() has refused it */
    options->region = keep(sqs, region);
    if (!options->region) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    if (add_queue(sqs, options, error) != 0) return -1;
  }
  return 0;
}

static void stop(void *running) {
  struct sqs *sqs = running;
  for (size_t i = 0; i < sqs->count; i++) sqs_queue_ask_to_stop(sqs->queues[i]); /* all long polls end together */
  for (size_t i = 0; i < sqs->count; i++) sqs_queue_stop(sqs->queues[i]);
}

static void release(void *running) {
  struct sqs *sqs = running;
  for (size_t i = 0; i < sqs->count; i++) sqs_queue_release(sqs->queues[i]);
  for (size_t i = 0; i < sqs->text_count; i++) free(sqs->texts[i]);
  free(sqs);
}

static void *start(const struct source_context *context, struct error *error) {
  const struct config *config = context->config;
  struct sqs *sqs = calloc(1, sizeof *sqs);
  if (!sqs) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  const char *external_id = config_text(config, "sqs.external_id");
  sqs->role = (struct aws_role){.name = config_text(config, "sqs.role"),
                                .external_id = *external_id ? external_id : NULL,
                                .session_name = "parapet-collector"};
  struct sqs_options options = {
      .aws = context->aws,
      .publisher = context->publisher,
      .account = *config_text(config, "sqs.account") ? config_text(config, "sqs.account") : NULL,
      .role = *sqs->role.name ? &sqs->role : NULL,
      .receivers = (int)config_number(config, "sqs.receivers"),
      .in_flight = (size_t)config_number(config, "sqs.in_flight"),
      .wait_ms = config_ms(config, "sqs.wait"),
      .visibility_ms = config_ms(config, "sqs.visibility"),
  };
  if (add_all(sqs, config, &options, error) == 0) return sqs;
  stop(sqs); /* nothing is released while a message may be on its way: the process ends */
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): kept on purpose, as said */
  return NULL;
}

static int ready(void *running, char *reason, size_t size) {
  struct sqs *sqs = running;
  for (size_t i = 0; i < sqs->count; i++)
    if (!sqs_queue_ready(sqs->queues[i], reason, size)) return 0;
  return 1;
}

static int finished(void *running, int *failed) {
  (void)running;
  *failed = 0;
  return 0;
}

const struct source source_sqs = {"sqs", 1, 0, wanted, start, ready, finished, stop, release};
