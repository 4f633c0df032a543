/* The sqs source's files: sqs.c (settings, the queues), sqs_queue.c (one queue's threads), sqs_calls.c (what is asked
 * of AWS). */
#ifndef PARAPET_PRODUCER_SOURCES_SQS_INTERNAL_H
#define PARAPET_PRODUCER_SOURCES_SQS_INTERNAL_H

#include <pthread.h>

#include "aws/aws.h"
#include "publish.h"

enum { SQS_BATCH = 10 };

struct sqs_options {
  struct aws_client *aws;
  struct publisher *publisher;
  const char *name; /* the queue's name, or NULL where the URL is given */
  const char *url;  /* or NULL */
  const char *region;
  const char *label;           /* for metrics and logs; the queue sets it */
  const char *account;         /* of the role; may be NULL */
  const struct aws_role *role; /* may be NULL: the base credentials */
  int receivers;
  size_t in_flight;      /* messages held at most */
  int64_t wait_ms;       /* long poll */
  int64_t visibility_ms; /* how long a message is ours before it must be extended */
};

/* The life of a message that was received:
 *
 *   UNSENT ──► SENDING ──► ACKNOWLEDGED ──► (deleted)
 *      ▲          │  └───► REFUSED ──────────┘ by its dead letter
 *      └──────────┘ Kafka did not take it */
enum sqs_state { SQS_UNSENT, SQS_SENDING, SQS_REFUSED, SQS_ACKNOWLEDGED };

struct sqs_queue;
struct sqs_message {
  struct sqs_message *following;
  struct sqs_queue *queue;
  char *id, *receipt, *body;
  size_t length;
  enum sqs_state state;
  int busy;                 /* the keeper holds it outside of the lock */
  int64_t received_ms;      /* monotonic, as all here */
  int64_t changed_ms;       /* when it came into this state */
  int64_t visible_until_ms; /* from then on SQS gives it to somebody else */
  int64_t not_before_ms;    /* the next try of what failed */
  struct error refusal;
};

/* ---- calls (sqs_calls.c): thin, synchronous; errors as aws_call()'s ---- */
/* Caller frees; NULL with *error. */
char *sqs_url(const struct sqs_options *options, struct error *error);
/* New array of SQS's messages (possibly empty). */
json_t *sqs_receive(const struct sqs_options *options, const char *url, int count, struct error *error);
/* Per message: what became of it. */
enum sqs_outcome { SQS_DONE, SQS_AGAIN, SQS_NEVER /* the receipt is worth nothing any more */ };
int sqs_delete(const struct sqs_options *options, const char *url, struct sqs_message *const *messages, size_t count,
               enum sqs_outcome *outcomes, struct error *error);
int sqs_extend(const struct sqs_options *options, const char *url, struct sqs_message *const *messages, size_t count,
               enum sqs_outcome *outcomes, struct error *error);

/* ---- one queue (sqs_queue.c) ---- */
struct sqs_queue *sqs_queue_start(const struct sqs_options *options, struct error *error);
int sqs_queue_ready(struct sqs_queue *queue, char *reason, size_t size);
void sqs_queue_ask_to_stop(struct sqs_queue *queue); /* returns at once */
void sqs_queue_stop(struct sqs_queue *queue);        /* asks, waits, joins */
void sqs_queue_release(struct sqs_queue *queue);     /* once no delivery report can come any more */
size_t sqs_queue_held(struct sqs_queue *queue);

#endif
