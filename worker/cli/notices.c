/* notices check and list: channels, routes and what waits in each channel. */
#include <string.h>

#include "cli.h"
#include "notices/notices.h"

static const char *const kinds[] = {[CHANNEL_LOG] = "log", [CHANNEL_SNS] = "sns", [CHANNEL_WEBHOOK] = "webhook"};

static struct notices *load(struct cli *cli, json_t *refused, struct error *error) {
  const char *file = cli->words.count > 0 ? cli->words.words[0] : config_text(cli->config, "notice.routes");
  return notices_load(file, cli->words.count > 0 ? "" : config_text(cli->config, "notice.sns_topic"), refused, error);
}

int run_notices_check(struct cli *cli) {
  struct error error = {0};
  json_t *refused = json_array(), *line;
  size_t index;
  struct notices *notices = load(cli, refused, &error);
  json_array_foreach(refused, index, line) fprintf(stderr, "%s\n", json_string_value(line));
  int mistakes = json_array_size(refused) > 0;
  json_decref(refused);
  if (!notices) return mistakes ? CLI_FOUND : fail(&error);
  printf("%zu channels and %zu routes are right\n", notices->channel_count, notices->route_count);
  notices_free(notices);
  return CLI_OK;
}

static json_t *channel_row(struct state *state, const struct channel *channel, struct error *error) {
  int64_t backlog = 0;
  if (state_notice_backlog(state, channel->name, &backlog, error) != 0) return NULL;
  char limit[64] = "none";
  if (channel->limit > 0)
    snprintf(limit, sizeof limit, "%lld in %lld s", (long long)channel->limit, (long long)channel->within_ms / 1000);
  return json_pack("{s:s, s:s, s:s, s:b, s:I}", "channel", channel->name, "kind", kinds[channel->kind], "limit", limit,
                   "signed", channel->secret != NULL, "waiting", (json_int_t)backlog);
}

int run_notices_list(struct cli *cli) {
  static const struct column columns[] = {{"CHANNEL", "channel", 0}, {"KIND", "kind", 0},       {"LIMIT", "limit", 0},
                                          {"SIGNED", "signed", 0},   {"WAITING", "waiting", 0}, {0}};
  struct error error = {0};
  json_t *refused = json_array(), *rows = json_array(), *row;
  struct notices *notices = load(cli, refused, &error);
  struct state *state = notices ? cli_state(cli, &error) : NULL;
  size_t done = 0;
  for (; state && done < notices->channel_count; done++) {
    if (!(row = channel_row(state, &notices->channels[done], &error))) break;
    json_array_append_new(rows, row);
  }
  int whole = state && done == notices->channel_count;
  if (whole) print_rows(cli, rows, columns);
  state_close(state);
  notices_free(notices);
  json_decref(refused);
  json_decref(rows);
  return whole ? CLI_OK : fail(&error);
}
