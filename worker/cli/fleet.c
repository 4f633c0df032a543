/* What the verbs that talk to the fleet share: its Redis and its durable memory. */
#include <string.h>

#include "base/log.h"
#include "cli.h"
#include "worker.h"

struct state *cli_state(struct cli *cli, struct error *error) {
  static char owner[192];
  settings_owner(owner, sizeof owner);
  struct state_options options = {.url = config_text(cli->config, "redis.url"), .timeout_ms = config_ms(cli->config, "redis.timeout"),
                                  .connections = 2, .owner = owner};
  struct state *state = state_open(&options, error);
  if (!state) return NULL;
  int answer = state_check(state, error) == 0 ? state_epoch_join(state, error) : -1;
  if (answer == 0) { /* empty: whoever comes first brings back what survives in Kafka */
    struct worker worker = {.config = cli->config, .state = state};
    answer = mirror_rebuild(&worker, error) == 0 && state_epoch_create(state, error) == 0 ? 1 : -1;
  }
  if (answer == 1) return state;
  state_close(state);
  return NULL;
}

int cli_mirror(struct cli *cli, const char *kind, const char *id, json_t *value, struct error *error) {
  struct bus_options options = settings_bus(cli->config, "parapet-cli");
  struct bus_producer *producer = bus_producer_open(&options, error);
  if (!producer) return -1;
  int result = mirror_put(producer, kind, id, value, error);
  bus_producer_close(producer);
  return result;
}
