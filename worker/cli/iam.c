/* parapet iam --read | --write | --trust: IAM policy documents derived from the loaded playbooks, so that the roles in
 * the accounts allow what the fleet does and nothing more.
 *
 * Which action an operation needs is common/aws's table (AWS's Service Authorization Reference: mostly the same name,
 * with exceptions such as s3:ListAllMyBuckets).  A call that creates with TagSpecifications also needs ec2:CreateTags,
 * which is allowed for such calls alone (the condition ec2:CreateAction). */
#include <stdlib.h>
#include <string.h>

#include "authoring.h"
#include "engine/load_internal.h"

const struct setting iam_options[] = {
    {"read", SETTING_BOOL, "false", "the policy for reading", 0, 0, 0},
    {"write", SETTING_BOOL, "false", "the policy for changing", 0, 0, 0},
    {"trust", SETTING_BOOL, "false", "the trust policy of the role in each account", 0, 0, 0},
    {"playbook", SETTING_TEXT, "", "of this guardrail alone", 0, 0, 0},
    {"role", SETTING_TEXT, "", "--write: of this role, which a step names; else of the fleet's own", 0, 0, 0},
    {"fleet", SETTING_TEXT, "", "--trust: ARN of the role that the workers run as", 0, 0, 0},
    {"external-id", SETTING_TEXT, "", "--trust: sts:ExternalId that must be given", 0, 0, 0},
    {0}};

static int compare_texts(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The IAM actions of operations, sorted, each once. */
static json_t *sorted_actions(const json_t *operations) {
  size_t count = json_array_size(operations);
  char(*texts)[128] = calloc(count + 1, sizeof *texts);
  const char **sorted = calloc(count + 1, sizeof *sorted);
  json_t *actions = json_array();
  for (size_t i = 0; texts && sorted && i < count; i++) {
    aws_iam_action(json_string_value(json_array_get(operations, i)), texts[i], sizeof texts[i]);
    sorted[i] = texts[i];
  }
  if (texts && sorted) {
    qsort(sorted, count, sizeof *sorted, compare_texts);
    for (size_t i = 0; i < count; i++)
      if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0) json_array_append_new(actions, json_string(sorted[i]));
  }
  free(sorted);
  free(texts);
  return actions;
}

static json_t *policy_of(json_t *statements) {
  return json_pack("{s:s, s:o}", "Version", "2012-10-17", "Statement", statements);
}

static void add_statement(json_t *statements, const char *id, json_t *actions, json_t *condition) {
  json_t *statement =
      json_pack("{s:s, s:s, s:o, s:s}", "Sid", id, "Effect", "Allow", "Action", actions, "Resource", "*");
  if (condition) json_object_set_new(statement, "Condition", condition);
  json_array_append_new(statements, statement);
}

static void add_reads(json_t *operations, const struct guardrail *guardrail) {
  const struct resource *resource = guardrail->resource;
  json_array_append_new(operations, json_string(resource->list.operation));
  json_array_append_new(operations, json_string(resource->get.operation));
  if (resource->parent) {
    json_array_append_new(operations, json_string(resource->parent->list.operation));
    json_array_append_new(operations, json_string(resource->parent->get.operation));
  }
  for (size_t i = 0; i < guardrail->use_count; i++)
    json_array_append_new(operations, json_string(guardrail->uses[i]->read.operation));
}

json_t *iam_read_policy(const struct bundle *bundle, const struct guardrail *guardrail) {
  json_t *operations = json_array(), *statements = json_array();
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    if (!guardrail || bundle->guardrails[i] == guardrail) add_reads(operations, bundle->guardrails[i]);
  add_statement(statements, "ParapetReads", sorted_actions(operations), NULL);
  json_decref(operations);
  return policy_of(statements);
}

static void remove_text(json_t *list, const char *text) {
  for (size_t i = json_array_size(list); i-- > 0;)
    if (strcmp(json_string_value(json_array_get(list, i)), text) == 0) json_array_remove(list, i);
}

/* Is the call made as this role?  "": as the fleet's own. */
static int is_of(const struct step *step, const char *role) { return strcmp(step->role ? step->role : "", role) == 0; }

/* Operations that create something with tags on it: ec2:CreateTags is allowed in them alone. */
static void add_creating(json_t *creating, const struct step *steps, size_t count, const char *role) {
  for (size_t i = 0; i < count; i++) {
    const char *dot = steps[i].operation ? strchr(steps[i].operation, '.') : NULL;
    if (dot && steps[i].creates_tags && is_of(&steps[i], role)) {
      remove_text(creating, dot + 1);
      json_array_append_new(creating, json_string(dot + 1));
    }
    add_creating(creating, steps[i].undo, steps[i].undo_count, role);
    add_creating(creating, steps[i].body, steps[i].body_count, role);
  }
}

/* Does a step call ec2.CreateTags by itself?  Then no condition may narrow it. */
static int tags_by_itself(const struct step *steps, size_t count, const char *role) {
  for (size_t i = 0; i < count; i++)
    if ((steps[i].operation && is_of(&steps[i], role) && strcmp(steps[i].operation, "ec2.CreateTags") == 0) ||
        tags_by_itself(steps[i].undo, steps[i].undo_count, role) ||
        tags_by_itself(steps[i].body, steps[i].body_count, role))
      return 1;
  return 0;
}

json_t *iam_write_policy(const struct bundle *bundle, const struct guardrail *guardrail, const char *role) {
  json_t *operations = json_array(), *creating = json_array(), *statements = json_array();
  int plain_tags = 0;
  for (size_t i = 0; i < bundle->guardrail_count; i++) {
    const struct guardrail *one = bundle->guardrails[i];
    if (guardrail && one != guardrail) continue;
    steps_operations(one->remediate, one->remediate_count, 1, role, operations);
    add_creating(creating, one->remediate, one->remediate_count, role);
    plain_tags |= tags_by_itself(one->remediate, one->remediate_count, role);
  }
  if (!plain_tags) remove_text(operations, "ec2.CreateTags");
  if (json_array_size(operations) > 0) add_statement(statements, "ParapetChanges", sorted_actions(operations), NULL);
  if (!plain_tags && json_array_size(creating) > 0)
    add_statement(statements, "ParapetTagsWhatItCreates", json_pack("[s]", "ec2:CreateTags"),
                  json_pack("{s:{s:O}}", "StringEquals", "ec2:CreateAction", creating));
  json_decref(operations);
  json_decref(creating);
  return policy_of(statements);
}

static json_t *trust_policy(const char *fleet, const char *external_id) {
  json_t *statement = json_pack("{s:s, s:s, s:{s:s}, s:[s,s]}", "Sid", "ParapetAssumes", "Effect", "Allow", "Principal",
                                "AWS", fleet, "Action", "sts:AssumeRole", "sts:SetSourceIdentity");
  if (*external_id)
    json_object_set_new(statement, "Condition", json_pack("{s:{s:s}}", "StringEquals", "sts:ExternalId", external_id));
  return policy_of(json_pack("[o]", statement));
}

static int print_policy(json_t *policy) {
  if (!policy) return fail_usage("out of memory");
  if (json_array_size(json_object_get(policy, "Statement")) == 0)
    fputs("parapet: nothing is changed: no policy is needed\n", stderr);
  else
    print_json(policy);
  json_decref(policy);
  return CLI_OK;
}

static int print_trust(struct cli *cli) {
  const char *fleet = config_text(cli->config, "fleet");
  if (strncmp(fleet, "arn:", 4) != 0 || !strstr(fleet, ":iam::"))
    return fail_usage("--trust needs --fleet, the ARN of the role that the workers run as");
  return print_policy(trust_policy(fleet, config_text(cli->config, "external-id")));
}

/* A role that no step names has no policy; most likely it is misspelt. */
static int known_role(const struct bundle *bundle, const char *role) {
  if (!*role) return 1;
  for (size_t i = 0; i < json_array_size(bundle->roles); i++)
    if (strcmp(json_string_value(json_array_get(bundle->roles, i)), role) == 0) return 1;
  fprintf(stderr, "parapet: no step names the role \"%s\"\n", role);
  return 0;
}

static int print_access(struct cli *cli, int write) {
  struct error error = {0};
  struct aws_client *client;
  const char *name = config_text(cli->config, "playbook"), *role = config_text(cli->config, "role");
  struct bundle *bundle = cli_bundle(cli, NULL, &client, &error);
  const struct guardrail *guardrail = bundle && *name ? cli_guardrail(bundle, name) : NULL;
  int result = CLI_USAGE;
  if (!bundle)
    result = fail(&error);
  else if ((!*name || guardrail) && known_role(bundle, role))
    result = print_policy(write ? iam_write_policy(bundle, guardrail, role) : iam_read_policy(bundle, guardrail));
  bundle_drop(bundle);
  aws_close(client);
  return result;
}

int run_iam(struct cli *cli) {
  int read = config_bool(cli->config, "read"), write = config_bool(cli->config, "write");
  int trust = config_bool(cli->config, "trust");
  if (read + write + trust != 1) return fail_usage("parapet iam needs one of --read, --write, --trust");
  return trust ? print_trust(cli) : print_access(cli, write);
}
