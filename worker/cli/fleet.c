/* What the verbs that talk to the fleet share: its Redis and its durable memory. */
#include <string.h>

#include "base/log.h"
#include "cli.h"
#include "fleet/mirror.h"

static struct state *open_state(struct cli *cli, struct error *error) {
  static char owner[192];
  settings_owner(owner, sizeof owner);
  struct state_options options = {.url = config_text(cli->config, "redis.url"),
                                  .timeout_ms = config_ms(cli->config, "redis.timeout"),
                                  .owner = owner};
  return state_open(&options, error);
}

struct state *cli_state_reading(struct cli *cli, struct error *error) {
  struct state *state = open_state(cli, error);
  struct bus_options bus = settings_bus(cli->config, "parapet-cli");
  if (state && mirror_join(&bus, state, error) == 0) return state; /* an empty one is filled, if that is allowed */
  state_close(state);
  return NULL;
}

struct state *cli_state(struct cli *cli, struct error *error) {
  struct state *state = open_state(cli, error);
  if (!state) return NULL;
  struct bus_options bus = settings_bus(cli->config, "parapet-cli");
  if (state_check(state, error) == 0 && mirror_join(&bus, state, error) == 0) return state;
  state_close(state);
  return NULL;
}
