/* Inline session policies: a session may do what its role may, and of that only what its policy names.
 *
 * STS takes 2,048 characters.  What a playbook calls may need more; then there are several policies, and so several
 * sessions, and each call uses the one that allows it.  The cut is between groups (the steps of a playbook) where it
 * can be, else between actions, never inside one.  What accompanies other operations (ec2.CreateTags, for a create that
 * tags in the same call) is repeated in every policy. */
#include <stdlib.h>
#include <string.h>

#include "aws/aws.h"

#define POLICY_LIMIT 2048
#define POLICIES_LIMIT 64

static const char head[] = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[";
static const char tail[] = "],\"Resource\":\"*\"}]}";

struct aws_policies {
  size_t count;
  char *texts[POLICIES_LIMIT];
  json_t *places; /* IAM action to the index of its policy */
};

struct making {
  struct aws_policies *made;
  struct buffer text; /* of the policy being filled; empty: none begun */
  json_t *companions; /* array of actions that every policy holds */
  struct error *error;
};

static const char *const companion_operations[] = {"ec2.CreateTags"};

/* ---- texts ---- */

/* `"ec2:CreateTags"` takes its length and two quotes; a comma in front of all but the first. */
static size_t size_of(const char *action) { return strlen(action) + 3; }

static void add_action(struct buffer *text, const char *action) {
  buffer_addf(text, "%s\"%s\"", text->length > sizeof head - 1 ? "," : "", action);
}

static int finish(struct making *making) {
  if (making->text.length == 0) return 0;
  buffer_add_text(&making->text, tail);
  struct aws_policies *made = making->made;
  if (making->text.failed || made->count == POLICIES_LIMIT)
    return error_set(making->error, ERROR_INVALID, "SessionPolicy", "the operations need more than %d session policies",
                     POLICIES_LIMIT);
  made->texts[made->count] = buffer_take(&making->text);
  if (!made->texts[made->count]) return error_set(making->error, ERROR_FATAL, "Memory", "out of memory");
  made->count++;
  return 0;
}

static void begin(struct making *making) {
  size_t index;
  json_t *action;
  buffer_add_text(&making->text, head);
  json_array_foreach(making->companions, index, action) add_action(&making->text, json_string_value(action));
}

static int fits(const struct making *making, size_t more) {
  return making->text.length + more + sizeof tail - 1 <= POLICY_LIMIT;
}

/* ---- groups ---- */

/* The group's actions that no policy allows yet, each once: new array. */
static json_t *new_actions(const struct making *making, const json_t *group) {
  json_t *seen = json_object(), *actions = json_array(), *operation;
  size_t index, count = json_is_array(group) ? json_array_size(group) : 1;
  for (index = 0; index < count; index++) {
    char action[128];
    operation = json_is_array(group) ? json_array_get(group, index) : (json_t *)group;
    if (!json_is_string(operation)) continue;
    aws_iam_action(json_string_value(operation), action, sizeof action);
    if (json_object_get(making->made->places, action) || json_object_get(seen, action)) continue;
    json_object_set_new(seen, action, json_true());
    json_array_append_new(actions, json_string(action));
  }
  json_decref(seen);
  return actions;
}

static int put(struct making *making, const char *action) {
  if (making->text.length > 0 && !fits(making, size_of(action)) && finish(making) != 0) return -1;
  if (making->text.length == 0) begin(making);
  add_action(&making->text, action);
  json_object_set_new(making->made->places, action, json_integer((json_int_t)making->made->count));
  return 0;
}

static int put_group(struct making *making, const json_t *group) {
  json_t *actions = new_actions(making, group), *action;
  size_t index, needed = 0;
  int result = 0;
  json_array_foreach(actions, index, action) needed += size_of(json_string_value(action));
  if (making->text.length > 0 && !fits(making, needed)) result = finish(making);
  json_array_foreach(actions, index, action) {
    if (result == 0) result = put(making, json_string_value(action));
  }
  json_decref(actions);
  return result;
}

/* The companions that occur anywhere in the groups go into each policy; found in the first. */
static void find_companions(struct making *making, const json_t *groups) {
  char *text = json_written(groups);
  for (size_t i = 0; text && i < sizeof companion_operations / sizeof *companion_operations; i++) {
    char action[128], quoted[128];
    snprintf(quoted, sizeof quoted, "\"%s\"", companion_operations[i]);
    if (!strstr(text, quoted)) continue;
    aws_iam_action(companion_operations[i], action, sizeof action);
    json_array_append_new(making->companions, json_string(action));
    json_object_set_new(making->made->places, action, json_integer(0));
  }
  free(text);
}

static int put_all(struct making *making, const json_t *groups) {
  size_t index;
  json_t *group;
  find_companions(making, groups);
  if (json_array_size(making->companions) > 0) begin(making);
  json_array_foreach(groups, index, group) {
    if (put_group(making, group) != 0) return -1;
  }
  return finish(making);
}

/* ---- the public calls ---- */

struct aws_policies *aws_policies_make(const json_t *groups, struct error *error) {
  struct making making = {.error = error, .text = {.ceiling = (size_t)POLICY_LIMIT * 2}};
  making.made = calloc(1, sizeof *making.made);
  making.companions = json_array();
  if (making.made) making.made->places = json_object();
  int result = making.made && making.companions && making.made->places
                   ? put_all(&making, groups)
                   : error_set(error, ERROR_FATAL, "Memory", "out of memory");
  buffer_free(&making.text);
  json_decref(making.companions);
  if (result == 0) return making.made;
  aws_policies_free(making.made);
  return NULL;
}

void aws_policies_free(struct aws_policies *policies) {
  if (!policies) return;
  for (size_t i = 0; i < policies->count; i++) free(policies->texts[i]);
  json_decref(policies->places);
  free(policies);
}

size_t aws_policies_count(const struct aws_policies *policies) { return policies ? policies->count : 0; }

const char *aws_policies_text(const struct aws_policies *policies, size_t index) {
  return policies && index < policies->count ? policies->texts[index] : NULL;
}

const char *aws_policies_for(const struct aws_policies *policies, const char *operation) {
  char action[128];
  aws_iam_action(operation, action, sizeof action);
  return aws_policies_text(policies, (size_t)json_integer_value(json_object_get(policies->places, action)));
}
