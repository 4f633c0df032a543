/* What the verbs that talk to the fleet share: its Redis and its durable memory. */
#include <string.h>

#include "base/log.h"
#include "cli.h"
#include "fleet/mirror.h"

struct state *cli_state(struct cli *cli, struct error *error) {
  static char owner[192];
  settings_owner(owner, sizeof owner);
  struct state_options options = {.url = config_text(cli->config, "redis.url"),
                                  .timeout_ms = config_ms(cli->config, "redis.timeout"),
                                  .connections = 2,
                                  .owner = owner};
  struct state *state = state_open(&options, error);
  if (!state) return NULL;
  struct bus_options bus = settings_bus(cli->config, "parapet-cli");
  if (state_check(state, error) == 0 && mirror_join(&bus, state, error) == 0) return state;
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
