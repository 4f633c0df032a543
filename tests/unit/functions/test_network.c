#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/playbook.h"
#include "functions/functions.h"

#include <cmocka.h>

/* Evaluates an expression over a document with the domain functions; new text of the result, or of the error code. */
static char *evaluate(const char *expression, const char *document) {
  struct error error = {0};
  json_t *value = document ? json_parse(document, strlen(document), &error) : json_null();
  assert_non_null(value);
  struct jmes *compiled = jmes_compile(expression, engine_functions, &error);
  json_t *result = compiled ? jmes_search(compiled, value, NULL, &error) : NULL;
  char *text = result ? json_text(result) : strdup(error.code);
  json_decref(result);
  json_decref(value);
  jmes_free(compiled);
  return text;
}

struct row {
  const char *expression, *document, *result;
};

static void check_rows(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char *text = evaluate(rows[i].expression, rows[i].document);
    if (strcmp(text, rows[i].result) != 0)
      fail_msg("%s over %s: %s, expected %s", rows[i].expression, rows[i].document, text, rows[i].result);
    free(text);
  }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void test_is_internet(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"is_internet(@)", "null", "false"},
      {"is_internet(@)", "{}", "false"},
      {"is_internet(@)", "{\"CidrIpv4\": \"0.0.0.0/0\"}", "true"},
      {"is_internet(@)", "{\"CidrIpv4\": \"128.0.0.0/1\"}", "true"}, /* half of everything */
      {"is_internet(@)", "{\"CidrIpv4\": \"10.0.0.0/8\"}", "false"},
      {"is_internet(@)", "{\"CidrIpv4\": \"203.0.113.0/24\"}", "false"},
      {"is_internet(@)", "{\"CidrIpv4\": \"1.2.3.4/0\"}", "true"}, /* host bits, as an emulator keeps them */
      {"is_internet(@)", "{\"CidrIpv6\": \"::/0\"}", "true"},
      {"is_internet(@)", "{\"CidrIpv6\": \"0000:0000::/0\"}", "true"}, /* parsed, not compared as text */
      {"is_internet(@)", "{\"CidrIpv6\": \"2000::/3\"}", "true"},
      {"is_internet(@)", "{\"CidrIpv6\": \"fc00::/7\"}", "false"}, /* unique local */
      {"is_internet(@)", "{\"CidrIpv6\": \"2001:db8::/32\"}", "false"},
      {"is_internet(@)", "{\"CidrIpv4\": \"0.0.0.0/-1\"}", "false"},
      {"is_internet(@)", "{\"CidrIpv4\": \"0.0.0.0/x\"}", "false"},
      {"is_internet(@)", "{\"CidrIpv4\": \"\"}", "false"},
      {"is_internet(@)", "{\"ReferencedGroupInfo\": {\"GroupId\": \"sg-1\"}}", "false"},
  };
  CHECK(rows);
}

static void test_is_internet_by_prefix_list(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"is_internet({PrefixListId: 'pl-1'})", NULL, "false"}, /* nobody said what it holds */
      {"is_internet({PrefixListId: 'pl-1'}, @)", "null", "false"},
      {"is_internet({PrefixListId: 'pl-1'}, @)", "[{\"PrefixListId\": \"pl-1\", \"Cidr\": \"0.0.0.0/0\"}]", "true"},
      {"is_internet({PrefixListId: 'pl-1'}, @)", "[{\"PrefixListId\": \"pl-1\", \"Cidr\": \"::/0\"}]", "true"},
      {"is_internet({PrefixListId: 'pl-1'}, @)", "[{\"PrefixListId\": \"pl-2\", \"Cidr\": \"0.0.0.0/0\"}]", "false"},
      /* two blocks, neither of which is the Internet, are together as large as one that is; once each */
      {"is_internet({PrefixListId: 'p'}, @)",
       "[{\"PrefixListId\": \"p\", \"Cidr\": \"3.0.0.0/8\"}, {\"PrefixListId\": \"p\", \"Cidr\": \"52.0.0.0/8\"}]",
       "true"},
      {"is_internet({PrefixListId: 'p'}, @)",
       "[{\"PrefixListId\": \"p\", \"Cidr\": \"3.0.0.0/8\"}, {\"PrefixListId\": \"p\", \"Cidr\": \"3.0.0.0/8\"},"
       "{\"PrefixListId\": \"p\", \"Cidr\": \"3.1.0.0/16\"}]",
       "false"},
      /* private networks are nobody's Internet */
      {"is_internet({PrefixListId: 'p'}, @)",
       "[{\"PrefixListId\": \"p\", \"Cidr\": \"10.0.0.0/8\"}, {\"PrefixListId\": \"p\", \"Cidr\": \"3.0.0.0/8\"},"
       "{\"PrefixListId\": \"p\", \"Cidr\": \"172.16.0.0/12\"}, {\"PrefixListId\": \"p\", \"Cidr\": \"x\"}]",
       "false"},
  };
  CHECK(rows);
}

#define RULE(protocol, from, to, source) \
  "{\"IpProtocol\": \"" protocol "\", \"FromPort\": " #from ", \"ToPort\": " #to ", " source "}"
#define INSIDE "\"CidrIpv4\": \"10.0.0.0/8\""

static void test_opens_all_ports(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"opens_all_ports([0], @)", "[{\"IpProtocol\": \"-1\"}]", "true"},
      {"opens_all_ports([0], @)", "[" RULE("tcp", 0, 65535, INSIDE) "]", "true"},
      {"opens_all_ports([0], @)", "[" RULE("17", 1, 65535, INSIDE) "]", "true"},
      {"opens_all_ports([0], @)", "[" RULE("tcp", 2, 65535, INSIDE) "]", "false"},
      {"opens_all_ports([0], @)", "[" RULE("tcp", 0, 65534, INSIDE) "]", "false"},
      {"opens_all_ports([0], @)", "[" RULE("icmp", -1, -1, INSIDE) "]", "false"},
      /* halves, in any order and overlapping */
      {"opens_all_ports([0], @)", "[" RULE("tcp", 30000, 65535, INSIDE) ", " RULE("6", 0, 40000, INSIDE) "]", "true"},
      /* one port short in the middle */
      {"opens_all_ports([0], @)", "[" RULE("tcp", 30002, 65535, INSIDE) ", " RULE("tcp", 0, 30000, INSIDE) "]",
       "false"},
      /* of two protocols, of two sources, of two directions */
      {"opens_all_ports([0], @)", "[" RULE("tcp", 30000, 65535, INSIDE) ", " RULE("udp", 0, 30000, INSIDE) "]",
       "false"},
      {"opens_all_ports([0], @)",
       "[" RULE("tcp", 30000, 65535, INSIDE) ", " RULE("tcp", 0, 30000, "\"PrefixListId\": \"pl-1\"") "]", "false"},
      {"opens_all_ports([0], @)",
       "[" RULE("tcp", 30000, 65535, INSIDE) ", " RULE("tcp", 0, 30000, INSIDE ", \"IsEgress\": true") "]", "false"},
      {"opens_all_ports(@, @)", "null", "false"},
  };
  CHECK(rows);
}

static void test_covers_port(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"tcp\", \"FromPort\": 22, \"ToPort\": 22}", "true"},
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"6\", \"FromPort\": 20, \"ToPort\": 25}", "true"},
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"udp\", \"FromPort\": 22, \"ToPort\": 22}", "false"},
      {"covers_port(@, `[\"udp/53\"]`)", "{\"IpProtocol\": \"udp\", \"FromPort\": 53, \"ToPort\": 53}", "true"},
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"-1\", \"FromPort\": -1, \"ToPort\": -1}", "true"},
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"-1\"}", "true"},
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"icmp\", \"FromPort\": 8, \"ToPort\": -1}",
       "false"}, /* type and code */
      {"covers_port(@, `[22]`)", "{\"IpProtocol\": \"tcp\", \"FromPort\": 23, \"ToPort\": 65535}", "false"},
      {"covers_port(@, `[]`)", "{\"IpProtocol\": \"-1\"}", "false"},
      {"covers_port(@, `[70000]`)", "{\"IpProtocol\": \"-1\"}", "invalid-value"},
      {"covers_port(@, `[\"sctp/1\"]`)", "{\"IpProtocol\": \"-1\"}", "invalid-value"},
      {"covers_port(@, `[22]`)", "null", "false"},
  };
  CHECK(rows);
}

static void test_narrow_rule(void **state) {
  (void)state;
  static const struct row rows[] = {
      /* exactly the port */
      {"narrow_rule(@, `[22]`, `[\"203.0.113.0/24\"]`)[].[IpProtocol,FromPort,ToPort,IpRanges[0].CidrIp]",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 22, \"ToPort\": 22, \"CidrIpv4\": \"0.0.0.0/0\"}",
       "[[\"tcp\",22,22,\"203.0.113.0/24\"]]"},
      /* at the edges of the range nothing empty is left */
      {"narrow_rule(@, `[22]`, `[]`)[].[FromPort,ToPort]",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 22, \"ToPort\": 25, \"CidrIpv4\": \"0.0.0.0/0\"}", "[[23,25]]"},
      {"narrow_rule(@, `[22]`, `[]`)[].[FromPort,ToPort]",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 0, \"ToPort\": 22, \"CidrIpv4\": \"0.0.0.0/0\"}", "[[0,21]]"},
      /* neighbours are one stretch, duplicates count once */
      {"narrow_rule(@, `[23,22,22]`, `[\"203.0.113.0/24\"]`)[].[FromPort,ToPort]",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 20, \"ToPort\": 30, \"CidrIpv4\": \"0.0.0.0/0\"}",
       "[[20,21],[22,23],[24,30]]"},
      /* everything becomes tcp, udp and icmp */
      {"narrow_rule(@, `[22]`, `[]`)[].[IpProtocol,FromPort,ToPort]",
       "{\"IpProtocol\": \"-1\", \"FromPort\": -1, \"ToPort\": -1, \"CidrIpv6\": \"::/0\"}",
       "[[\"tcp\",0,21],[\"tcp\",23,65535],[\"udp\",0,65535],[\"icmpv6\",-1,-1]]"},
      {"narrow_rule(@, `[\"udp/53\"]`, `[]`)[].[IpProtocol,FromPort,ToPort]",
       "{\"IpProtocol\": \"-1\", \"CidrIpv4\": \"0.0.0.0/0\"}",
       "[[\"tcp\",0,65535],[\"udp\",0,52],[\"udp\",54,65535],[\"icmp\",-1,-1]]"},
      /* the description stays with every part */
      {"narrow_rule(@, `[22]`, `[\"2001:db8::/32\"]`)[].[IpRanges[0].Description,Ipv6Ranges[0].Description]",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 21, \"ToPort\": 22, \"CidrIpv4\": \"0.0.0.0/0\", \"Description\": "
       "\"ops\"}",
       "[[\"ops\",null],[null,\"ops\"]]"},
      {"narrow_rule(@, `[22]`, `[]`)", "null", "[]"},
  };
  CHECK(rows);
}

static void test_rule_permission(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"rule_permission(@)", "{\"IpProtocol\": \"-1\", \"FromPort\": -1, \"ToPort\": -1, \"CidrIpv4\": \"0.0.0.0/0\"}",
       "{\"IpProtocol\":\"-1\",\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\"}]}"},
      {"rule_permission(@)",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 1, \"ToPort\": 2, \"PrefixListId\": \"pl-1\", \"Description\": \"d\"}",
       "{\"FromPort\":1,\"IpProtocol\":\"tcp\",\"PrefixListIds\":[{\"Description\":\"d\",\"PrefixListId\":\"pl-1\"}],"
       "\"ToPort\":2}"},
      {"rule_permission(@)",
       "{\"IpProtocol\": \"tcp\", \"FromPort\": 1, \"ToPort\": 2, \"ReferencedGroupInfo\": {\"GroupId\": \"sg-2\", "
       "\"UserId\": \"1\"}}",
       "{\"FromPort\":1,\"IpProtocol\":\"tcp\",\"ToPort\":2,\"UserIdGroupPairs\":[{\"GroupId\":\"sg-2\",\"UserId\":"
       "\"1\"}]}"},
      {"rule_permission(@)", "null", "null"},
  };
  CHECK(rows);
}

static void test_cidr_relations(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"cidr_within('10.1.0.0/16', `[\"10.0.0.0/8\"]`)", NULL, "true"},
      {"cidr_within('10.0.0.0/8', `[\"10.1.0.0/16\"]`)", NULL, "false"},
      {"cidr_overlaps('10.0.0.0/8', `[\"10.1.0.0/16\"]`)", NULL, "true"},
      {"cidr_within('::1', `[\"0.0.0.0/0\"]`)", NULL, "false"}, /* families never meet */
      {"cidr_within('10.0.0.1', '10.0.0.0/31')", NULL, "true"},
      {"cidr_within('10.0.0.2', '10.0.0.0/31')", NULL, "false"},
      {"cidr_within(`null`, '10.0.0.0/31')", NULL, "false"},
  };
  CHECK(rows);
}

static void test_small_functions(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"tag(@, 'a')", "[{\"Key\": \"a\", \"Value\": \"1\"}]", "\"1\""},
      {"tag(@, 'b')", "[{\"Key\": \"a\", \"Value\": \"1\"}]", "null"},
      {"tag(@, 'a')", "{\"a\": \"1\"}", "\"1\""},
      {"tag(@, 'a')", "null", "null"},
      {"glob('sg-123', 'sg-*')", NULL, "true"},
      {"glob('sg-123', `[\"x*\", \"*3\"]`)", NULL, "true"},
      {"glob('sg-123', 'sg-12')", NULL, "false"},
      {"glob(`null`, '*')", NULL, "false"},
      {"lower('My-DB1')", NULL, "\"my-db1\""},
      {"lower('')", NULL, "\"\""},
      {"lower(`null`)", NULL, "null"},
      {"parse_json('{\"a\": 1}').a", NULL, "1"},
      {"parse_json('{')", NULL, "null"},
      {"arn_part('arn:aws:logs:eu-west-1:111122223333:log-group:trail:*', `6`)", NULL, "\"trail\""},
      {"arn_part('arn:aws:s3:::bucket', `3`)", NULL, "\"\""},
      {"arn_part('arn:aws:s3:::bucket', `6`)", NULL, "null"},
      {"arn_part(`null`, `6`)", NULL, "null"},
      {"json_equal('{\"a\": 1.0}', `{\"a\": 1}`)", NULL, "true"},
      {"age_days('never')", NULL, "null"},
      {"age_days(`null`)", NULL, "null"},
      {"age_days('2020-01-01T00:00:00Z') > `1000`", NULL, "true"},
  };
  CHECK(rows);
}
