/* Pages of one operation put together, and any result as a table.  Private to worker/cli. */
#ifndef PARAPET_CLI_AWS_MERGE_H
#define PARAPET_CLI_AWS_MERGE_H

#include "cli.h"

struct merge {
  const json_t *description; /* of aws_model_describe */
  json_t *result;            /* NULL until the first page */
  size_t most;               /* items of the first result key; 0: all */
  int more;                  /* it was stopped by `most`, and there is more */
};
/* Takes in a page (aws_paginate's callback): 0 to go on, 1 when there is enough. */
int merge_page(json_t *page, void *merge);
/* Of an operation that comes in pages just what its paginator calls the result is left: counts and tokens of one page
 * say nothing of the whole. */
void merge_end(struct merge *merge);

/* The result's first list of objects as a table, else its members as name and value. */
void print_result(const struct cli *cli, const json_t *result, const json_t *description);

#endif
