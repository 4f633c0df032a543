/* The file of channels and routes.  Everything is checked before anything is used; secrets are never written in it,
 * only where they are. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/load_internal.h"
#include "notices/notices.h"

enum { TIMEOUT_MS = 5000, LONGEST_TIMEOUT_MS = 30000, SECRET_BYTES = 16, LONGEST_SECRET = 4096, TRIES = 20 };
static const char default_limit[] = "60/1h";

static const struct key file_keys[] = {
    {"channels", KEY_OBJECT, 1}, {"routes", KEY_ARRAY, 1}, {"owner_tags", KEY_ARRAY, 0}, {0}};
static const struct key channel_keys[] = {{"sns", KEY_TEXT, 0},
                                          {"webhook", KEY_TEXT | KEY_OBJECT, 0},
                                          {"log", KEY_BOOL, 0},
                                          {"secret", KEY_TEXT | KEY_OBJECT, 0},
                                          {"body", KEY_TEXT | KEY_OBJECT, 0},
                                          {"timeout", KEY_TEXT, 0},
                                          {"limit", KEY_TEXT, 0},
                                          {"tries", KEY_NUMBER, 0},
                                          {0}};
static const struct key route_keys[] = {
    {"match", KEY_OBJECT, 0}, {"to", KEY_TEXT | KEY_ARRAY, 1}, {"also", KEY_BOOL, 0}, {0}};
static const struct key match_keys[] = {{"severity", KEY_TEXT | KEY_ARRAY, 0},
                                        {"environment", KEY_TEXT | KEY_ARRAY, 0},
                                        {"owner", KEY_TEXT | KEY_ARRAY, 0},
                                        {"actor", KEY_TEXT | KEY_ARRAY, 0},
                                        {"guardrail", KEY_TEXT | KEY_ARRAY, 0},
                                        {"account", KEY_TEXT | KEY_ARRAY, 0},
                                        {"region", KEY_TEXT | KEY_ARRAY, 0},
                                        {"outcome", KEY_TEXT | KEY_ARRAY, 0},
                                        {0}};
static const struct key source_keys[] = {{"file", KEY_TEXT, 0}, {"env", KEY_TEXT, 0}, {0}};

/* ---- small values ---- */

/* A path beside the file of routes, or an absolute one. */
static void beside(const struct loader *loader, const char *name, char path[PATH_MAX]) {
  const char *slash = strrchr(loader->file, '/');
  int directory = *name == '/' || !slash ? 0 : (int)(slash - loader->file) + 1;
  snprintf(path, PATH_MAX, "%.*s%s", directory, loader->file, name);
}

/* The first line of a file, without its end. */
static char *first_line(const char *path) {
  char *line = NULL;
  size_t room = 0;
  FILE *file = fopen(path, "r");
  ssize_t length = file ? getline(&line, &room, file) : -1;
  if (file) fclose(file);
  if (length < 0) {
    free(line);
    return NULL;
  }
  line[strcspn(line, "\r\n")] = '\0';
  return line;
}

/* {file: PATH} or {env: NAME}: new text, or NULL when it has been complained of. */
static char *read_secret(struct loader *loader, const json_t *source, const char *pointer) {
  char path[PATH_MAX];
  const char *file = json_text_at(source, "file", NULL), *name = json_text_at(source, "env", NULL);
  if (check_keys(loader, source, pointer, source_keys) > 0) return NULL;
  if (!*file == !*name) return complain(loader, pointer, "give either {file: PATH} or {env: NAME}"), NULL;
  beside(loader, file, path);
  const char *variable = *name ? getenv(name) : NULL;
  char *value = *file ? first_line(path) : variable ? strdup(variable) : NULL;
  if (!value || !*value || strlen(value) > LONGEST_SECRET) {
    complain(loader, pointer, *file ? "the file %s is empty or cannot be read" : "the variable %s is not set",
             *file ? path : name);
    free(value);
    return NULL;
  }
  log_secret(value);
  return value;
}

/* "60/1h": so many within so much time; "none": no limit. */
static void read_limit(struct loader *loader, const char *text, const char *pointer, struct channel *channel) {
  char *end;
  if (strcmp(text, "none") == 0) return;
  channel->limit = strtol(text, &end, 10);
  if (channel->limit < 1 || channel->limit > 10000 || *end != '/' ||
      clock_parse_duration(end + 1, &channel->within_ms) != 0 || channel->within_ms < 1000 ||
      channel->within_ms > (int64_t)7 * 86400000)
    complain(loader, pointer, "\"limit\" must be MESSAGES/TIME with 1 to 10000 messages in 1s to 7d, as \"60/1h\"");
}

/* ---- addresses ---- */
static int is_loopback(const char *host, size_t length) {
  static const char *const names[] = {"localhost", "[::1]"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == length && strncasecmp(names[i], host, length) == 0) return 1;
  return length > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= length;
}

static const char *url_mistake(const char *url) {
  int plain = strncmp(url, "http://", 7) == 0;
  if (!plain && strncmp(url, "https://", 8) != 0) return "an address begins with https://";
  const char *host = url + (plain ? 7 : 8);
  size_t authority = strcspn(host, "/?#");
  size_t length = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
  if (memchr(host, '@', authority)) return "an address holds no user and password";
  if (length == 0 || length > authority || strchr(url, '#')) return "this is no address";
  for (const char *at = url; *at; at++)
    if (*at <= ' ' || *at > '~') return "an address is printable ASCII, the rest percent-encoded";
  return plain && !is_loopback(host, length) ? "plain http:// is only for this machine; use https://" : NULL;
}

static int is_topic(const char *arn) {
  char region[64], account[16], name[300];
  return sscanf(arn, "arn:%*[^:]:sns:%63[a-z0-9-]:%15[0-9]:%299s", region, account, name) == 3 && strlen(account) == 12;
}

/* ---- channels ---- */
static void check_variable(const char *name, const char *const *path, void *argument) {
  struct loader *loader = argument;
  (void)path;
  for (const char *const *known = notice_variables; *known; known++)
    if (strcmp(*known, name) == 0) return;
  complain(loader, loader->lines ? "" : "/", "a body knows no variable $%s%s", name,
           nearest_word(name, notice_variables));
}

static struct template *compile_body(struct loader *loader, const json_t *value, const char *pointer) {
  struct error error = {0};
  struct template *body = template_compile(value, engine_functions, &error);
  char where[512];
  snprintf(where, sizeof where, "%s%s", pointer, error.where);
  if (!body)
    complain(loader, where, "%s", error.message);
  else
    template_variables(body, check_variable, loader);
  return body;
}

/* A mapping is the body itself; a text names the file that holds it. */
static struct template *load_body(struct loader *loader, const json_t *value, const char *pointer) {
  char path[PATH_MAX];
  if (json_is_object(value)) return compile_body(loader, value, pointer);
  struct error error = {0};
  struct loader inner = {.file = path, .refused = loader->refused};
  beside(loader, json_string_value(value), path);
  json_t *document = yaml_load(path, &inner.lines, &error);
  struct template *body = NULL;
  if (!document)
    complain(loader, pointer, "the body %s cannot be read: %s", path, error.message);
  else
    body = compile_body(&inner, document, "");
  loader->complaints += inner.complaints;
  yaml_lines_free(inner.lines);
  json_decref(document);
  return body;
}

static void load_webhook(struct loader *loader, const json_t *object, const char *pointer, struct channel *channel) {
  const json_t *address = json_object_get(object, "webhook"), *secret = json_object_get(object, "secret");
  const char *at = pointer_key(pointer, "webhook"), *mistake;
  channel->kind = CHANNEL_WEBHOOK;
  channel->url = json_is_string(address) ? strdup(json_string_value(address)) : read_secret(loader, address, at);
  if (channel->url && (mistake = url_mistake(channel->url))) complain(loader, at, "%s", mistake);
  at = pointer_key(pointer, "secret");
  if (!secret)
    complain(loader, pointer, "\"secret\" is missing: {file: PATH} or {env: NAME}, or none to send without signature");
  else if (json_is_object(secret))
    channel->secret = read_secret(loader, secret, at);
  else if (strcmp(json_string_value(secret), "none") != 0)
    complain(loader, at, "a secret is not written here: give {file: PATH}, {env: NAME} or none");
  if (channel->secret && strlen(channel->secret) < SECRET_BYTES)
    complain(loader, at, "the secret must have %d characters or more", SECRET_BYTES);
  const json_t *body = json_object_get(object, "body");
  if (body) channel->body = load_body(loader, body, pointer_key(pointer, "body"));
}

static int is_name(const char *name) {
  size_t length = strlen(name);
  return length > 0 && length < CHANNEL_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static void load_kind(struct loader *loader, const json_t *object, const char *pointer, struct channel *channel) {
  static const char *const only[] = {"secret", "body", NULL};
  const json_t *topic = json_object_get(object, "sns"), *webhook = json_object_get(object, "webhook");
  int kinds = (topic != NULL) + (webhook != NULL) + json_is_true(json_object_get(object, "log"));
  if (kinds != 1) {
    complain(loader, pointer, "a channel is one of sns, webhook and log: true");
    return;
  }
  if (webhook) {
    load_webhook(loader, object, pointer, channel);
    return;
  }
  for (const char *const *name = only; *name; name++)
    if (json_object_get(object, *name)) complain(loader, pointer_key(pointer, *name), "\"%s\" is for a webhook", *name);
  channel->kind = topic ? CHANNEL_SNS : CHANNEL_LOG;
  if (!topic) return;
  channel->topic = strdup(json_string_value(topic));
  if (!is_topic(json_string_value(topic)))
    complain(loader, pointer_key(pointer, "sns"), "this is no ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME)");
}

static void load_channel(struct loader *loader, const char *name, const json_t *object, struct channel *channel) {
  char pointer[256];
  snprintf(pointer, sizeof pointer, "/channels/%s", name);
  *channel = (struct channel){.timeout_ms = TIMEOUT_MS, .tries = TRIES};
  snprintf(channel->name, sizeof channel->name, "%s", name);
  if (!is_name(name)) complain(loader, pointer, "a channel's name has at most %d of a-z, 0-9 and -", CHANNEL_NAME - 1);
  if (check_keys(loader, object, pointer, channel_keys) > 0) return;
  load_kind(loader, object, pointer, channel);
  const char *limit = json_text_at(object, "limit", NULL), *timeout = json_text_at(object, "timeout", NULL);
  read_limit(loader, *limit ? limit : default_limit, pointer_key(pointer, "limit"), channel);
  if (*timeout && (clock_parse_duration(timeout, &channel->timeout_ms) != 0 || channel->timeout_ms < 100 ||
                   channel->timeout_ms > LONGEST_TIMEOUT_MS))
    complain(loader, pointer_key(pointer, "timeout"), "\"timeout\" must be from 100ms to 30s");
  const json_t *tries = json_object_get(object, "tries");
  if (tries) channel->tries = json_integer_value(tries);
  if (channel->tries < 1 || channel->tries > 1000)
    complain(loader, pointer_key(pointer, "tries"), "\"tries\" must be from 1 to 1000");
}

static void load_channels(struct loader *loader, const json_t *document, struct notices *notices) {
  const char *name;
  json_t *object;
  json_object_foreach(json_object_get(document, "channels"), name, object) {
    if (notices->channel_count == CHANNELS_LIMIT) {
      complain(loader, "/channels", "at most %d channels are possible", CHANNELS_LIMIT);
      return;
    }
    load_channel(loader, name, object, &notices->channels[notices->channel_count++]);
  }
  if (notices->channel_count == 0) complain(loader, "/channels", "there must be a channel");
}

/* ---- routes ---- */
static void add_target(struct loader *loader, const struct notices *notices, const json_t *document, const char *name,
                       const char *pointer, struct route *route) {
  for (size_t i = 0; i < notices->channel_count; i++)
    if (strcmp(notices->channels[i].name, name) == 0) {
      route->to |= 1U << i;
      return;
    }
  complain(loader, pointer, "there is no channel \"%s\"%s", name,
           nearest_key(name, json_object_get(document, "channels")));
}

/* A text stands for a list of one. */
static json_t *as_list(const json_t *value) {
  return json_is_array(value) ? json_deep_copy(value) : json_pack("[O]", value);
}

static void load_route(struct loader *loader, const json_t *document, size_t number, struct notices *notices) {
  struct route *route = &notices->routes[number];
  const json_t *object = json_array_get(json_object_get(document, "routes"), number);
  char pointer[64], match[80];
  snprintf(pointer, sizeof pointer, "/routes/%zu", number);
  snprintf(match, sizeof match, "%s/match", pointer);
  if (check_keys(loader, object, pointer, route_keys) > 0) return;
  route->also = json_is_true(json_object_get(object, "also"));
  route->match = json_object();
  const json_t *wanted = json_object_get(object, "match");
  if (wanted && check_keys(loader, wanted, match, match_keys) > 0) return;
  const char *member;
  json_t *globs;
  json_object_foreach((json_t *)wanted, member, globs) {
    check_texts(loader, wanted, member, match);
    json_object_set_new(route->match, member, as_list(globs));
  }
  json_t *to = as_list(json_object_get(object, "to")), *name;
  size_t index;
  json_array_foreach(to, index, name)
      add_target(loader, notices, document, json_is_string(name) ? json_string_value(name) : "", pointer, route);
  if (json_array_size(to) == 0) complain(loader, pointer, "a route goes to a channel");
  json_decref(to);
}

static void load_routes(struct loader *loader, const json_t *document, struct notices *notices) {
  const json_t *routes = json_object_get(document, "routes");
  size_t count = json_array_size(routes);
  notices->routes = calloc(count + 1, sizeof *notices->routes);
  if (!notices->routes) {
    complain(loader, "/routes", "out of memory");
    return;
  }
  for (size_t i = 0; i < count; i++) load_route(loader, document, notices->route_count++, notices);
  if (count == 0) complain(loader, "/routes", "there must be a route");
  for (size_t i = 0; i + 1 < notices->route_count; i++)
    if (json_object_size(notices->routes[i].match) == 0 && !notices->routes[i].also)
      complain(loader, pointer_index("/routes", i + 1), "never reached: the route before it takes everything");
}

static void load_document(struct loader *loader, const json_t *document, struct notices *notices) {
  if (check_keys(loader, document, "", file_keys) > 0) return;
  load_channels(loader, document, notices);
  load_routes(loader, document, notices);
  check_texts(loader, document, "owner_tags", "");
  json_t *tags = json_object_get(document, "owner_tags");
  notices->owner_tags = tags ? json_incref(tags) : json_pack("[s, s]", "owner", "Owner");
}

/* Without a file: one channel that gets everything. */
static void one_channel(struct notices *notices, const char *topic) {
  struct channel *channel = &notices->channels[notices->channel_count++];
  *channel = (struct channel){.kind = *topic ? CHANNEL_SNS : CHANNEL_LOG, .tries = TRIES, .timeout_ms = TIMEOUT_MS};
  snprintf(channel->name, sizeof channel->name, "%s", *topic ? "sns" : "log");
  channel->topic = strdup(topic);
  notices->routes = calloc(1, sizeof *notices->routes);
  notices->owner_tags = json_pack("[s, s]", "owner", "Owner");
  if (notices->routes) notices->routes[notices->route_count++] = (struct route){.match = json_object(), .to = 1};
}

struct notices *notices_load(const char *path, const char *sns_topic, json_t *refused, struct error *error) {
  struct notices *notices = calloc(1, sizeof *notices);
  struct loader loader = {.file = path, .refused = refused};
  if (!notices) return error_set(error, ERROR_FATAL, "Memory", "out of memory"), NULL;
  if (!*path) return one_channel(notices, sns_topic), notices;
  json_t *document = yaml_load(path, &loader.lines, error);
  if (document && *sns_topic) complain(&loader, "", "with a file of routes, notice.sns_topic is not used: remove it");
  if (document) load_document(&loader, document, notices);
  if (document && loader.complaints > 0)
    error_set(error, ERROR_INVALID, "Notices", "%s", json_string_value(json_array_get(refused, 0)));
  int bad = !document || loader.complaints > 0;
  yaml_lines_free(loader.lines);
  json_decref(document);
  if (!bad) return notices;
  notices_free(notices);
  return NULL;
}

static void wipe(char *secret) {
  if (secret) explicit_bzero(secret, strlen(secret));
  free(secret);
}

void notices_free(struct notices *notices) {
  if (!notices) return;
  for (size_t i = 0; i < notices->channel_count; i++) {
    free(notices->channels[i].topic);
    wipe(notices->channels[i].url);
    wipe(notices->channels[i].secret);
    template_free(notices->channels[i].body);
  }
  for (size_t i = 0; i < notices->route_count; i++) json_decref(notices->routes[i].match);
  free(notices->routes);
  json_decref(notices->owner_tags);
  free(notices);
}
