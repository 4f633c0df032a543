/* The table of domain functions.  All take null as "nothing". */
#include "functions/functions.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/glob.h"
#include "engine/playbook.h"

int engine_glob(const char *pattern, const char *text) { return glob_matches(pattern, text); }

static const char *text_or_null(const json_t *value) { return json_is_string(value) ? json_string_value(value) : NULL; }

static json_t *function_age_days(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error) {
  (void)count, (void)error;
  int64_t then, now = clock_wall_ms();
  int found;
  const char *text = text_or_null(arguments[0]);
  if (!text || clock_parse(text, &then) != 0) return json_null();
  const char *given = text_or_null(jmes_scope_get(scope, "now", &found));
  if (given) (void)clock_parse(given, &now);
  return json_integer((now - then) / 86400000);
}

/* tag(tags, key): the value in a list of {Key, Value} or in a map. */
static json_t *function_tag(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                            struct error *error) {
  (void)count, (void)scope, (void)error;
  const char *key = text_or_null(arguments[1]);
  if (!key) return json_null();
  if (json_is_object(arguments[0])) {
    json_t *value = json_object_get(arguments[0], key);
    return value ? json_incref(value) : json_null();
  }
  for (size_t i = 0; i < json_array_size(arguments[0]); i++) {
    const json_t *tag = json_array_get(arguments[0], i);
    if (strcmp(json_text_at(tag, "Key", NULL), key) == 0) return json_string(json_text_at(tag, "Value", NULL));
  }
  return json_null();
}

static json_t *function_glob(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)count, (void)scope, (void)error;
  const char *text = text_or_null(arguments[0]);
  if (!text) return json_false();
  if (json_is_string(arguments[1])) return json_boolean(engine_glob(json_string_value(arguments[1]), text));
  for (size_t i = 0; i < json_array_size(arguments[1]); i++) {
    const char *pattern = text_or_null(json_array_get(arguments[1], i));
    if (pattern && engine_glob(pattern, text)) return json_true();
  }
  return json_false();
}

static json_t *function_lower(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error) {
  (void)count, (void)scope, (void)error;
  const char *text = text_or_null(arguments[0]);
  char *small = text ? strdup(text) : NULL;
  for (char *at = small; at && *at; at++)
    if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a');
  json_t *answer = small ? json_string(small) : json_null();
  free(small);
  return answer;
}

static json_t *function_parse_json(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                   struct error *error) {
  (void)count, (void)scope, (void)error;
  const char *text = text_or_null(arguments[0]);
  json_t *value = text ? json_parse(text, json_string_length(arguments[0]), NULL) : NULL;
  return value ? value : json_null();
}

static json_t *function_json_equal(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                   struct error *error) {
  (void)count;
  json_t *left =
      json_is_string(arguments[0]) ? function_parse_json(arguments, 1, scope, error) : json_incref(arguments[0]);
  json_t *right =
      json_is_string(arguments[1]) ? function_parse_json(arguments + 1, 1, scope, error) : json_incref(arguments[1]);
  json_t *answer = json_boolean(json_same(left, right));
  json_decref(left);
  json_decref(right);
  return answer;
}

/* in_organization(account): also an ARN's, or a principal's. */
static json_t *function_in_organization(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                        struct error *error) {
  (void)count, (void)error;
  int found;
  const char *text = text_or_null(arguments[0]);
  const json_t *known = jmes_scope_get(scope, "organization", &found);
  if (text && strncmp(text, "arn:", 4) == 0)
    for (int i = 0; text && i < 4; i++) text = (text = strchr(text, ':')) ? text + 1 : NULL;
  if (!text || strspn(text, "0123456789") != 12 || (text[12] && text[12] != ':') || !json_is_array(known))
    return json_null();
  for (size_t i = 0; i < json_array_size(known); i++)
    if (strncmp(json_string_value(json_array_get(known, i)), text, 12) == 0) return json_true();
  return json_false();
}

const struct jmes_function engine_functions[] = {
    {"is_internet", 1, 2, function_is_internet,
     "is_internet(rule, entries): does the security-group rule's source hold the Internet (0.0.0.0/0, ::/0, or blocks "
     "so large)? entries: [{PrefixListId, Cidr}] of the prefix lists that rules name"},
    {"covers_port", 2, 2, function_covers_port,
     "covers_port(rule, ports): does the rule let one of these ports in? A number is a TCP port, \"udp/53\" says "
     "another protocol"},
    {"opens_all_ports", 2, 2, function_opens_all_ports,
     "opens_all_ports(rule, rules): does the rule, alone or with its like among the rules (same protocol, same "
     "source), "
     "let every TCP or UDP port in?"},
    {"exposure", 5, 5, function_exposure,
     "exposure(rule, ports, interfaces, routes, acls): {Exposure: reachable, not reachable or not attached, Reachable: "
     "[{NetworkInterfaceId, InstanceId, Address, Ports}]}: by public address, route to an Internet gateway, network "
     "ACL"},
    {"narrow_rule", 3, 3, function_narrow_rule,
     "narrow_rule(rule, ports, ranges): the IpPermissions that replace the rule: the ports for the ranges, the rest "
     "for its old source"},
    {"rule_permission", 1, 1, function_rule_permission,
     "rule_permission(rule): the rule as an IpPermission, to authorise it again"},
    {"rule_changes", 2, 2, function_rule_changes,
     "rule_changes(event, baseline): what a CloudTrail event did to security-group rules: [{change: authorize, revoke "
     "or "
     "modify, key: the rule's id, made: the rule, was: what the baseline says it was}]"},
    {"standing_changes", 2, 2, function_standing_changes,
     "standing_changes(changes, rules): those of rule_changes that the rules still show, with the rule as `live`; "
     "changes of what was there are left out when it is not known"},
    {"cidr_within", 2, 2, function_cidr_within,
     "cidr_within(cidr, ranges): does the block lie inside one of the ranges?"},
    {"cidr_overlaps", 2, 2, function_cidr_overlaps,
     "cidr_overlaps(cidr, ranges): does the block share an address with one of them?"},
    {"age_days", 1, 1, function_age_days, "age_days(time): whole days from the time to $now; null for null"},
    {"tag", 2, 2, function_tag,
     "tag(tags, key): a tag's value in a list of {Key, Value} or a map; null when there is none"},
    {"in_organization", 1, 1, function_in_organization,
     "in_organization(account or ARN): is it one of our accounts ($organization)? null when that is not known, or when "
     "it "
     "names no account"},
    {"glob", 2, 2, function_glob, "glob(text, pattern or patterns): * is any run of characters, ? any one"},
    {"lower", 1, 1, function_lower, "lower(text): with small letters for A to Z; null for what is no text"},
    {"parse_json", 1, 1, function_parse_json, "parse_json(text): the value, or null when the text is no JSON"},
    {"json_equal", 2, 2, function_json_equal, "json_equal(a, b): equal by value; texts are parsed first"},
    {"policy_public_statements", 1, 1, function_policy_public_statements,
     "policy_public_statements(policy): the statements that let everybody in: Allow, principal \"*\", and no condition "
     "that pins the caller to fixed networks, accounts or resources"},
    {"policy_is_public", 1, 1, function_policy_is_public,
     "policy_is_public(policy): does a statement let everybody in?"},
    {"policy_document", 1, 1, function_policy_document,
     "policy_document(policy): the policy as a value; IAM gives some of them as percent-encoded text"},
    {"policy_pin", 2, 2, function_policy_pin,
     "policy_pin(policy, condition): the policy with the condition added to each statement that lets everybody in"},
    {"policy_allows", 3, 4, function_policy_allows,
     "policy_allows(policies, action, resource, boundary): may the action be done on the resource (\"*\": on all)? An "
     "Allow under conditions counts, a Deny under conditions does not"},
    {"policy_equal", 2, 2, function_policy_equal,
     "policy_equal(a, b): do the policies say the same, whatever their order and spelling?"},
    {"lookup", 3, 3, function_lookup,
     "lookup(list, field, value): the first element whose field has the value, or null"},
    {"with_parent", 3, 3, function_with_parent,
     "with_parent(list, key, field): the elements of every `field`, each with its owner's `key`"},
    {"diff", 2, 2, function_diff,
     "diff(before, after): what became of a value: {added, removed, changed: {key: {from, to}}} of mappings, {added, "
     "removed} of lists, {from, to} of others; {} when they are equal"},
    {"arn_name", 1, 1, function_arn_name, "arn_name(arn): what stands behind the last / or : of it"},
    {"arn_part", 2, 2, function_arn_part, "arn_part(arn, n): its part n between colons, from 0: 4 is the account"},
    {0}};
