/* What an EC2 event did to security-group rules, in both dialects, and what of it still stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/playbook.h"
#include "json/yaml.h"

#include <cmocka.h>

/* Texts of the rows are YAML (flow style needs no escapes); the result is compared as a value. */
static json_t *value_of(const char *text) {
  struct error error = {0};
  json_t *value = yaml_parse(text, strlen(text), "row", NULL, &error);
  if (!value) fail_msg("%s: %s", text, error.message);
  return value;
}

static void check(const char *expression, const char *document, const char *expected, size_t row) {
  struct error error = {0};
  json_t *value = value_of(document), *wanted = value_of(expected);
  struct jmes *compiled = jmes_compile(expression, engine_functions, &error);
  assert_non_null(compiled);
  json_t *result = jmes_search(compiled, value, NULL, &error);
  if (!json_same(result, wanted)) fail_msg("row %zu: %s\nexpected %s", row, json_text(result), json_text(wanted));
  json_decref(result);
  json_decref(wanted);
  json_decref(value);
  jmes_free(compiled);
}

static void test_rule_changes(void **state) {
  (void)state;
  static const struct {
    const char *event, *baseline, *changes;
  } rows[] = {
      /* nothing is known of nothing */
      {"null", "null", "[]"},
      {"{detail: {eventName: DeleteSecurityGroup, requestParameters: {groupId: sg-1}}}", "[]", "[]"},
      /* the answer tells the rule and its id */
      {"{detail: {eventName: AuthorizeSecurityGroupIngress, responseElements: {securityGroupRuleSet: {items: "
       "[{groupId: sg-1, "
       "securityGroupRuleId: sgr-1, isEgress: false, ipProtocol: tcp, fromPort: 22, toPort: 22, cidrIpv4: 1.2.3.0/24, "
       "groupOwnerId: '1'}]}}}}",
       "null",
       "[{change: authorize, key: sgr-1, was: null, made: {SecurityGroupRuleId: sgr-1, GroupId: sg-1, IsEgress: false, "
       "IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIpv4: 1.2.3.0/24}}]"},
      /* a reference, and the account that it points into */
      {"{detail: {eventName: AuthorizeSecurityGroupEgress, responseElements: {securityGroupRuleSet: {items: [{"
       "securityGroupRuleId: sgr-1, isEgress: true, ipProtocol: '-1', referencedGroupInfo: {groupId: sg-9, userId: "
       "'9'}}]}}}}",
       "[]",
       "[{change: authorize, key: sgr-1, was: null, made: {SecurityGroupRuleId: sgr-1, IsEgress: true, IpProtocol: "
       "'-1', "
       "ReferencedGroupInfo: {GroupId: sg-9, UserId: '9'}}}]"},
      /* no answer (omitted, old): all targets of all permissions of the request, without ids */
      {"{detail: {eventName: AuthorizeSecurityGroupIngress, responseElements: {omitted: true}, requestParameters: "
       "{groupId: "
       "sg-1, ipPermissions: {items: [{ipProtocol: tcp, fromPort: 1, toPort: 2, ipRanges: {items: [{cidrIp: "
       "1.0.0.0/8}]}, "
       "ipv6Ranges: {items: [{cidrIpv6: '::/0'}]}, prefixListIds: {items: [{prefixListId: pl-1}]}, groups: {items: "
       "[{groupId: "
       "sg-2}]}}]}}}}",
       "[]",
       "[{change: authorize, was: null, made: {IpProtocol: tcp, FromPort: 1, ToPort: 2, IsEgress: false, CidrIpv4: "
       "1.0.0.0/8}}, "
       "{change: authorize, was: null, made: {IpProtocol: tcp, FromPort: 1, ToPort: 2, IsEgress: false, CidrIpv6: "
       "'::/0'}}, "
       "{change: authorize, was: null, made: {IpProtocol: tcp, FromPort: 1, ToPort: 2, IsEgress: false, PrefixListId: "
       "pl-1}}, "
       "{change: authorize, was: null, made: {IpProtocol: tcp, FromPort: 1, ToPort: 2, IsEgress: false, "
       "ReferencedGroupInfo: "
       "{GroupId: sg-2}}}]"},
      /* what was revoked is what the baseline says, with its tags */
      {"{detail: {eventName: RevokeSecurityGroupIngress, responseElements: {revokedSecurityGroupRuleSet: {items: [{"
       "securityGroupRuleId: sgr-1, isEgress: false, ipProtocol: tcp, fromPort: 22, toPort: 22, cidrIpv4: "
       "1.2.3.0/24}]}}}}",
       "[{SecurityGroupRuleId: sgr-1, IsEgress: false, IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIpv4: "
       "1.2.3.0/24, Tags: "
       "[{Key: a, Value: b}]}]",
       "[{change: revoke, key: sgr-1, made: null, was: {SecurityGroupRuleId: sgr-1, IsEgress: false, IpProtocol: tcp, "
       "FromPort: "
       "22, ToPort: 22, CidrIpv4: 1.2.3.0/24, Tags: [{Key: a, Value: b}]}}]"},
      /* by id alone, in whatever list */
      {"{detail: {eventName: RevokeSecurityGroupEgress, requestParameters: {groupId: sg-1, ruleIds: {items: [{x: "
       "sgr-2}]}}}}",
       "[{SecurityGroupRuleId: sgr-1}, {SecurityGroupRuleId: sgr-2, IsEgress: true}]",
       "[{change: revoke, key: sgr-2, made: null, was: {SecurityGroupRuleId: sgr-2, IsEgress: true}}]"},
      /* by what it lets in, written otherwise */
      {"{detail: {eventName: RevokeSecurityGroupIngress, requestParameters: {ipPermissions: {items: [{ipProtocol: '6', "
       "fromPort: "
       "22, toPort: 22, ipv6Ranges: {items: [{cidrIpv6: '0:0::/0'}]}}]}}}}",
       "[{SecurityGroupRuleId: sgr-1, IsEgress: false, IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIpv6: '::/0'}]",
       "[{change: revoke, key: sgr-1, made: null, was: {SecurityGroupRuleId: sgr-1, IsEgress: false, IpProtocol: tcp, "
       "FromPort: "
       "22, ToPort: 22, CidrIpv6: '::/0'}}]"},
      /* what the baseline does not hold was never accepted: there is nothing to put back */
      {"{detail: {eventName: RevokeSecurityGroupIngress, requestParameters: {ids: [sgr-9]}}}", "[]",
       "[{change: revoke, key: sgr-9, made: null, was: null}]"},
      /* the new dialect: one rule is an object, -1 is a number */
      {"{detail: {eventName: ModifySecurityGroupRules, requestParameters: {ModifySecurityGroupRulesRequest: {GroupId: "
       "sg-1, "
       "SecurityGroupRule: {tag: 1, SecurityGroupRuleId: sgr-1, SecurityGroupRule: {IpProtocol: -1, CidrIpv6: "
       "'::/0'}}}}}}",
       "[{SecurityGroupRuleId: sgr-1, IsEgress: true, IpProtocol: udp}]",
       "[{change: modify, key: sgr-1, made: {SecurityGroupRuleId: sgr-1, IsEgress: true, IpProtocol: '-1', CidrIpv6: "
       "'::/0'}, "
       "was: {SecurityGroupRuleId: sgr-1, IsEgress: true, IpProtocol: udp}}]"},
      /* several are an array; one that was never accepted is as if it were new */
      {"{detail: {eventName: ModifySecurityGroupRules, requestParameters: {ModifySecurityGroupRulesRequest: "
       "{SecurityGroupRule: "
       "[{SecurityGroupRuleId: sgr-1, SecurityGroupRule: {ReferencedGroupId: sg-2}}, {SecurityGroupRuleId: sgr-2, "
       "SecurityGroupRule: {PrefixListId: pl-1}}]}}}}",
       "[{SecurityGroupRuleId: sgr-1}]",
       "[{change: modify, key: sgr-1, made: {SecurityGroupRuleId: sgr-1, ReferencedGroupInfo: {GroupId: sg-2}}, was: "
       "{SecurityGroupRuleId: sgr-1}}, {change: authorize, key: sgr-2, made: {SecurityGroupRuleId: sgr-2, "
       "PrefixListId: pl-1}, "
       "was: null}]"},
      /* no baseline yet: what it was is not known */
      {"{detail: {eventName: ModifySecurityGroupRules, requestParameters: {ModifySecurityGroupRulesRequest: "
       "{SecurityGroupRule: "
       "{SecurityGroupRuleId: sgr-1, SecurityGroupRule: {IpProtocol: tcp}}}}}}",
       "null", "[{change: modify, key: sgr-1, made: {SecurityGroupRuleId: sgr-1, IpProtocol: tcp}, was: null}]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *document;
    assert_true(asprintf(&document, "{event: %s, baseline: %s}", rows[i].event, rows[i].baseline) > 0);
    check("rule_changes(event, baseline)", document, rows[i].changes, i);
    free(document);
  }
}

#define SSH "SecurityGroupRuleId: sgr-1, IsEgress: false, IpProtocol: tcp, FromPort: 22, ToPort: 22"

static void test_standing_changes(void **state) {
  (void)state;
  static const struct {
    const char *changes, *rules, *standing;
  } rows[] = {
      {"null", "[]", "[]"},
      {"[{change: authorize, key: sgr-1, made: {" SSH ", CidrIpv4: 1.0.0.0/8}}]", "null", "[]"},
      /* it is there, spelt otherwise */
      {"[{change: authorize, key: sgr-1, made: {" SSH ", CidrIpv4: 1.2.3.4/8}}]", "[{" SSH ", CidrIpv4: 1.0.0.0/8}]",
       "[{change: authorize, key: sgr-1, made: {" SSH ", CidrIpv4: 1.2.3.4/8}, live: {" SSH ", CidrIpv4: 1.0.0.0/8}}]"},
      /* somebody has narrowed it since */
      {"[{change: authorize, key: sgr-1, made: {" SSH ", CidrIpv4: 1.0.0.0/8}}]", "[{" SSH ", CidrIpv4: 1.2.0.0/16}]",
       "[]"},
      /* the same, made anew by somebody else: another rule */
      {"[{change: authorize, key: sgr-0, made: {" SSH ", CidrIpv4: 1.0.0.0/8}}]", "[{" SSH ", CidrIpv4: 1.0.0.0/8}]",
       "[]"},
      /* without an id it is known by what it lets in, and in which direction */
      {"[{change: authorize, made: {IsEgress: true, IpProtocol: '-1', PrefixListId: pl-1}}]",
       "[{SecurityGroupRuleId: sgr-1, IsEgress: false, IpProtocol: '-1', PrefixListId: pl-1}]", "[]"},
      {"[{change: authorize, made: {IsEgress: true, IpProtocol: '-1', PrefixListId: pl-1}}]",
       "[{SecurityGroupRuleId: sgr-1, IsEgress: true, IpProtocol: '-1', FromPort: -1, ToPort: -1, PrefixListId: pl-1}]",
       "[{change: authorize, made: {IsEgress: true, IpProtocol: '-1', PrefixListId: pl-1}, live: {SecurityGroupRuleId: "
       "sgr-1, "
       "IsEgress: true, IpProtocol: '-1', FromPort: -1, ToPort: -1, PrefixListId: pl-1}}]"},
      /* revoked, and not back; twice is once */
      {"[{change: revoke, key: sgr-1, was: {" SSH ", CidrIpv6: '::/0'}}, {change: revoke, key: sgr-1, was: {" SSH
       ", CidrIpv6: '::/0'}}]",
       "[]", "[{change: revoke, key: sgr-1, was: {" SSH ", CidrIpv6: '::/0'}, live: null}]"},
      /* somebody has put it back, under a new id */
      {"[{change: revoke, key: sgr-0, was: {" SSH ", CidrIpv6: '::/0'}}]", "[{" SSH ", CidrIpv6: '0::/0'}]", "[]"},
      /* what it was is not known */
      {"[{change: revoke, key: sgr-1, was: null}]", "[]", "[]"},
      {"[{change: modify, key: sgr-1, made: {" SSH ", CidrIpv4: 1.0.0.0/8}, was: null}]",
       "[{" SSH ", CidrIpv4: 1.0.0.0/8}]", "[]"},
      /* modified twice: the last one counts */
      {"[{change: modify, key: sgr-1, made: {" SSH ", CidrIpv4: 1.0.0.0/8}, was: {" SSH
       ", CidrIpv4: 3.0.0.0/8}}, {change: "
       "modify, key: sgr-1, made: {" SSH ", CidrIpv4: 2.0.0.0/8}, was: {" SSH ", CidrIpv4: 3.0.0.0/8}}]",
       "[{" SSH ", CidrIpv4: 2.0.0.0/8}]",
       "[{change: modify, key: sgr-1, made: {" SSH ", CidrIpv4: 2.0.0.0/8}, was: {" SSH
       ", CidrIpv4: 3.0.0.0/8}, live: {" SSH ", CidrIpv4: 2.0.0.0/8}}]"},
      /* and modified back */
      {"[{change: modify, key: sgr-1, made: {" SSH ", CidrIpv4: 1.0.0.0/8}, was: {" SSH ", CidrIpv4: 3.0.0.0/8}}]",
       "[{" SSH ", CidrIpv4: 3.0.0.0/8}]", "[]"},
      /* only its description was modified */
      {"[{change: modify, key: sgr-1, made: {" SSH ", CidrIpv4: 3.0.0.0/8, Description: a}, was: {" SSH
       ", CidrIpv4: 3.0.0.0/8}}]",
       "[{" SSH ", CidrIpv4: 3.0.0.0/8, Description: a}]", "[]"},
      /* a reference to another group is another rule */
      {"[{change: authorize, made: {" SSH ", ReferencedGroupInfo: {GroupId: sg-1}}}]",
       "[{" SSH ", ReferencedGroupInfo: {GroupId: sg-2}}]", "[]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *document;
    assert_true(asprintf(&document, "{changes: %s, rules: %s}", rows[i].changes, rows[i].rules) > 0);
    check("standing_changes(changes, rules)", document, rows[i].standing, i);
    free(document);
  }
}

/* Whose account is it?  What is not known is not said: a guardrail must not take it for foreign. */
static void test_in_organization(void **state) {
  (void)state;
  static const struct {
    const char *expression, *organization, *answer;
  } rows[] = {
      {"in_organization('111111111111')", "['111111111111', '222222222222']", "true"},
      {"in_organization('333333333333')", "['111111111111']", "false"},
      {"in_organization('arn:aws:iam::111111111111:role/x')", "['111111111111']", "true"},
      {"in_organization('arn:aws:iam::333333333333:root')", "['111111111111']", "false"},
      {"in_organization('arn:aws:s3:::bucket')", "['111111111111']", "null"}, /* names no account */
      {"in_organization('*')", "['111111111111']", "null"},
      {"in_organization(`null`)", "['111111111111']", "null"},
      {"in_organization('111111111111')", "null", "null"},
      {"in_organization('1111111111112')", "['111111111111']", "null"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    json_t *known = value_of(rows[i].organization), *wanted = value_of(rows[i].answer);
    struct jmes_scope scope = {.name = "organization", .value = known};
    struct jmes *compiled = jmes_compile(rows[i].expression, engine_functions, &error);
    assert_non_null(compiled);
    json_t *result = jmes_search(compiled, NULL, &scope, &error);
    if (!json_equal(result, wanted)) fail_msg("row %zu: %s", i, rows[i].expression);
    json_decref(result);
    json_decref(known);
    json_decref(wanted);
    jmes_free(compiled);
  }
}
