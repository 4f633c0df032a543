/* What an EC2 event did to security-group rules.  CloudTrail shows EC2 in two dialects: the old one (Authorize, Revoke)
 * in lowerCamel with lists as {items: […]}, the new one (Modify) as {ModifySecurityGroupRulesRequest: {…}} in
 * PascalCase, where a list of one is an object and a protocol of -1 a number.  Both become ec2's SecurityGroupRule.
 *
 * Authorize and Revoke tell the rules, with their ids, in the answer.  Where it does not (older events, fields that
 * were omitted for their size) the request's permissions say what was asked for: such a change has no key, and is found
 * by what the rule lets through. */
#include <stdio.h>
#include <string.h>

#include "functions/functions.h"

/* A list in either dialect: {items: […]}, {item: …}, an array, or the only element itself. */
static json_t *element(const json_t *list, size_t index) {
  const json_t *inner = json_object_get(list, "items");
  if (!inner) inner = json_object_get(list, "item");
  if (!inner) inner = list;
  if (json_is_array(inner)) return json_array_get(inner, index);
  return index == 0 && json_object_size(inner) > 0 ? (json_t *)inner : NULL;
}

/* The member by its PascalCase name, in either spelling. */
static json_t *member(const json_t *object, const char *name) {
  json_t *value = json_object_get(object, name);
  if (value) return value;
  char lower[64];
  snprintf(lower, sizeof lower, "%s", name);
  if (lower[0] >= 'A' && lower[0] <= 'Z') lower[0] = (char)(lower[0] - 'A' + 'a');
  return json_object_get(object, lower);
}

static void set_text(json_t *rule, const char *name, const json_t *value) {
  if (json_is_integer(value))
    json_object_set_new(rule, name, json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value)));
  if (json_is_string(value) && json_string_length(value) > 0) json_object_set(rule, name, (json_t *)value);
}

/* An event's rule as a SecurityGroupRule. */
static json_t *rule_of(const json_t *shown) {
  static const char *const texts[] = {"SecurityGroupRuleId", "GroupId",    "IpProtocol", "CidrIpv4", "CidrIpv6",
                                      "PrefixListId",        "Description"};
  json_t *rule = json_object(), *group = member(shown, "ReferencedGroupInfo");
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) set_text(rule, texts[i], member(shown, texts[i]));
  static const char *const ports[] = {"FromPort", "ToPort"};
  for (size_t i = 0; i < 2; i++)
    if (json_is_integer(member(shown, ports[i]))) json_object_set(rule, ports[i], member(shown, ports[i]));
  if (json_is_boolean(member(shown, "IsEgress"))) json_object_set(rule, "IsEgress", member(shown, "IsEgress"));
  json_t *reference = json_object();
  set_text(reference, "GroupId", group ? member(group, "GroupId") : member(shown, "ReferencedGroupId"));
  if (group) set_text(reference, "UserId", member(group, "UserId"));
  if (json_object_size(reference) > 0) json_object_set(rule, "ReferencedGroupInfo", reference);
  json_decref(reference);
  return rule;
}

static const char *id_of(const json_t *rule) { return json_text_at(rule, "SecurityGroupRuleId", NULL); }

static json_t *with_id(const json_t *rules, const char *id) {
  for (size_t i = 0; *id && i < json_array_size(rules); i++)
    if (strcmp(id_of(json_array_get(rules, i)), id) == 0) return json_array_get(rules, i);
  return NULL;
}

static json_t *alike(const json_t *rules, const json_t *rule) {
  for (size_t i = 0; i < json_array_size(rules); i++)
    if (network_same_rule(json_array_get(rules, i), rule)) return json_array_get(rules, i);
  return NULL;
}

/* ---- permissions, where the answer does not tell the rules ---- */

/* Adds the rules of one IpPermission. */
static void expand(json_t *rules, const json_t *permission, int egress) {
  static const struct {
    const char *list, *member, *as;
  } targets[] = {{"ipRanges", "cidrIp", "CidrIpv4"},
                 {"ipv6Ranges", "cidrIpv6", "CidrIpv6"},
                 {"prefixListIds", "prefixListId", "PrefixListId"},
                 {"groups", "groupId", NULL}};
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
    const json_t *target;
    for (size_t i = 0; (target = element(json_object_get(permission, targets[t].list), i)); i++) {
      json_t *rule = rule_of(permission), *value = json_object_get(target, targets[t].member);
      json_object_set_new(rule, "IsEgress", json_boolean(egress));
      if (targets[t].as)
        set_text(rule, targets[t].as, value);
      else
        json_object_set_new(rule, "ReferencedGroupInfo", json_pack("{s:O*}", "GroupId", value));
      json_array_append_new(rules, rule);
    }
  }
}

/* The rules that the event is about: of the answer, else of the request.  New array. */
static json_t *rules_of(const json_t *detail, const char *set, int egress) {
  json_t *rules = json_array(), *shown;
  const json_t *request = json_object_get(detail, "requestParameters");
  for (size_t i = 0; (shown = element(json_at(detail, "responseElements", set, NULL), i)); i++) {
    json_t *rule = rule_of(shown);
    if (!json_object_get(rule, "IsEgress")) json_object_set_new(rule, "IsEgress", json_boolean(egress));
    json_array_append_new(rules, rule);
  }
  for (size_t i = 0; json_array_size(rules) == 0 && (shown = element(json_object_get(request, "ipPermissions"), i));
       i++)
    expand(rules, shown, egress);
  return rules;
}

/* Every rule id that the request names, whatever it calls the list. */
static void collect_ids(const json_t *value, json_t *ids) {
  const char *key, *text = json_string_value(value);
  json_t *inner;
  size_t index;
  if (text && strncmp(text, "sgr-", 4) == 0) json_array_append(ids, (json_t *)value);
  json_object_foreach((json_t *)value, key, inner) collect_ids(inner, ids);
  json_array_foreach(value, index, inner) collect_ids(inner, ids);
}

/* ---- changes ---- */
static void add_change(json_t *changes, const char *change, const char *key, json_t *made, json_t *was) {
  json_t *entry = json_pack("{s:s, s:O?, s:O?}", "change", change, "made", made, "was", was);
  if (*key) json_object_set_new(entry, "key", json_string(key));
  json_array_append_new(changes, entry);
}

static void authorized(json_t *changes, const json_t *detail, int egress) {
  json_t *rules = rules_of(detail, "securityGroupRuleSet", egress), *rule;
  size_t index;
  json_array_foreach(rules, index, rule) add_change(changes, "authorize", id_of(rule), rule, NULL);
  json_decref(rules);
}

/* What was revoked is what the baseline says of it (with tags and all); what it does not hold was never accepted. */
static void revoked(json_t *changes, const json_t *detail, int egress, const json_t *baseline) {
  json_t *rules = rules_of(detail, "revokedSecurityGroupRuleSet", egress), *ids = json_array(), *rule, *id;
  size_t index;
  json_array_foreach(rules, index, rule) {
    json_t *was = with_id(baseline, id_of(rule));
    if (!was) was = alike(baseline, rule);
    add_change(changes, "revoke", *id_of(rule) ? id_of(rule) : id_of(was), NULL, was);
  }
  if (json_array_size(rules) == 0) collect_ids(json_object_get(detail, "requestParameters"), ids);
  json_array_foreach(ids, index, id)
      add_change(changes, "revoke", json_string_value(id), NULL, with_id(baseline, json_string_value(id)));
  json_decref(rules);
  json_decref(ids);
}

/* A rule that the baseline does not hold was not accepted before it was modified: it is as if it were new. */
static void modified(json_t *changes, const json_t *detail, const json_t *baseline) {
  const json_t *request = json_at(detail, "requestParameters", "ModifySecurityGroupRulesRequest", NULL), *shown;
  for (size_t i = 0; (shown = element(json_object_get(request, "SecurityGroupRule"), i)); i++) {
    const char *id = id_of(shown);
    json_t *made = rule_of(json_object_get(shown, "SecurityGroupRule")), *was = with_id(baseline, id);
    json_object_set_new(made, "SecurityGroupRuleId", json_string(id));
    if (json_object_get(was, "IsEgress")) json_object_set(made, "IsEgress", json_object_get(was, "IsEgress"));
    add_change(changes, json_is_array(baseline) && !was ? "authorize" : "modify", id, made, was);
    json_decref(made);
  }
}

json_t *function_rule_changes(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error) {
  (void)count, (void)scope, (void)error;
  const json_t *detail = json_object_get(arguments[0], "detail");
  const char *name = json_text_at(detail, "eventName", NULL);
  json_t *changes = json_array();
  int egress = strstr(name, "Egress") != NULL;
  if (strncmp(name, "AuthorizeSecurityGroup", 22) == 0)
    authorized(changes, detail, egress);
  else if (strncmp(name, "RevokeSecurityGroup", 19) == 0)
    revoked(changes, detail, egress, arguments[1]);
  else if (strcmp(name, "ModifySecurityGroupRules") == 0)
    modified(changes, detail, arguments[1]);
  return changes;
}

/* ---- what still stands ---- */

/* The live rule that shows the change, json_null() for a revoked one; NULL: it does not stand (any more), or what was
 * there is not known. */
static json_t *shown_by(const json_t *change, const json_t *rules) {
  const char *kind = json_text_at(change, "change", NULL), *key = json_text_at(change, "key", NULL);
  const json_t *made = json_object_get(change, "made"), *was = json_object_get(change, "was");
  int known = json_is_object(was);
  if (strcmp(kind, "revoke") == 0) return known && !alike(rules, was) ? json_null() : NULL;
  json_t *live = *key ? with_id(rules, key) : alike(rules, made);
  if (!live || !network_same_rule(live, made)) return NULL;
  if (strcmp(kind, "authorize") == 0) return live;
  return known && !network_same_rule(live, was) ? live : NULL;
}

/* Is the same thing told already?  Of one rule that was changed twice, or revoked by two requests. */
static int is_told(const json_t *standing, const json_t *live, const json_t *was) {
  for (size_t i = 0; i < json_array_size(standing); i++) {
    const json_t *one = json_array_get(standing, i), *other = json_object_get(one, "live");
    if (json_is_null(live) ? json_is_null(other) && network_same_rule(json_object_get(one, "was"), was)
                           : strcmp(id_of(live), id_of(other)) == 0)
      return 1;
  }
  return 0;
}

json_t *function_standing_changes(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                  struct error *error) {
  (void)count, (void)scope, (void)error;
  json_t *standing = json_array();
  for (size_t i = json_array_size(arguments[0]); i-- > 0;) { /* the latest change of a rule counts */
    json_t *change = json_array_get(arguments[0], i), *live = shown_by(change, arguments[1]);
    if (!live || is_told(standing, live, json_object_get(change, "was"))) continue;
    json_t *copy = json_copy(change);
    json_object_set(copy, "live", live);
    json_array_insert_new(standing, 0, copy);
  }
  return standing;
}
