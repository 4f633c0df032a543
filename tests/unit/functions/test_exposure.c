#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "functions/functions.h"

#include <cmocka.h>

static json_t *parsed(const char *text) {
  struct error error = {0};
  json_t *value = json_parse(text, strlen(text), &error);
  if (!value) fail_msg("%s: %s", text, error.message);
  return value;
}

#define SSH "{\"IpProtocol\": \"tcp\", \"FromPort\": 22, \"ToPort\": 22, \"CidrIpv4\": \"0.0.0.0/0\"}"
#define SSH6 "{\"IpProtocol\": \"tcp\", \"FromPort\": 22, \"ToPort\": 22, \"CidrIpv6\": \"::/0\"}"
#define LIST "{\"IpProtocol\": \"-1\", \"PrefixListId\": \"pl-1\"}"

/* DescribeNetworkInterfaces: an instance with a private, a public and an IPv6 address */
#define INTERFACE(addresses)                                                                \
  "[{\"NetworkInterfaceId\": \"eni-1\", \"SubnetId\": \"subnet-1\", \"VpcId\": \"vpc-1\", " \
  "\"InterfaceType\": \"interface\", \"Attachment\": {\"InstanceId\": \"i-1\"}, " addresses "}]"
#define PRIVATE INTERFACE("\"PrivateIpAddresses\": [{\"PrivateIpAddress\": \"10.0.0.1\"}]")
#define PUBLIC                                                          \
  INTERFACE(                                                            \
      "\"PrivateIpAddresses\": [{\"PrivateIpAddress\": \"10.0.0.1\"}, " \
      "{\"PrivateIpAddress\": \"10.0.0.2\", \"Association\": {\"PublicIp\": \"198.51.100.7\"}}]")
#define IPV6 INTERFACE("\"Ipv6Addresses\": [{\"Ipv6Address\": \"2001:db8::1\"}]")

/* DescribeRouteTables */
#define ROUTE(to) "{\"DestinationCidrBlock\": \"0.0.0.0/0\", " to "}"
#define ROUTE6(to) "{\"DestinationIpv6CidrBlock\": \"::/0\", " to "}"
#define GATEWAY "\"GatewayId\": \"igw-1\", \"State\": \"active\""
#define MAIN(routes) "{\"VpcId\": \"vpc-1\", \"Associations\": [{\"Main\": true}], \"Routes\": [" routes "]}"
#define OWN(routes) "{\"VpcId\": \"vpc-1\", \"Associations\": [{\"SubnetId\": \"subnet-1\"}], \"Routes\": [" routes "]}"
#define ELSEWHERE(routes) "{\"VpcId\": \"vpc-2\", \"Associations\": [{\"Main\": true}], \"Routes\": [" routes "]}"
#define OUT "[" MAIN(ROUTE(GATEWAY)) "]"

/* DescribeNetworkAcls */
#define ENTRY(number, action, cidr, more)                                                                   \
  "{\"RuleNumber\": " #number ", \"RuleAction\": \"" action "\", \"Egress\": false, \"CidrBlock\": \"" cidr \
  "\", " more "}"
#define ALL "\"Protocol\": \"-1\""
#define TCP(from, to) "\"Protocol\": \"6\", \"PortRange\": {\"From\": " #from ", \"To\": " #to "}"
#define ACL(entries) "[{\"Associations\": [{\"SubnetId\": \"subnet-1\"}], \"Entries\": [" entries "]}]"
#define LAST ENTRY(32767, "deny", "0.0.0.0/0", ALL)
#define DEFAULT_ACL ACL(LAST ", " ENTRY(100, "allow", "0.0.0.0/0", ALL))

static void test_exposure(void **state) {
  (void)state;
  static const struct {
    const char *rule, *ports, *interfaces, *routes, *acls, *exposure, *reachable;
  } rows[] = {
      {SSH, "[22]", "[]", OUT, DEFAULT_ACL, "not attached", ""},
      {SSH, "[22]", PRIVATE, OUT, DEFAULT_ACL, "not reachable", ""},
      /* a secondary address is an address */
      {SSH, "[22]", PUBLIC, OUT, DEFAULT_ACL, "reachable", "198.51.100.7 i-1 [22]"},
      {SSH, "[22]",
       INTERFACE("\"Association\": {\"PublicIp\": \"198.51.100.7\"}, \"PrivateIpAddresses\": "
                 "[{\"Primary\": true, \"Association\": {\"PublicIp\": \"198.51.100.7\"}}]"),
       OUT, DEFAULT_ACL, "reachable", "198.51.100.7 i-1 [22]"}, /* once */
      /* the family of the rule, of the address and of the route are one */
      {SSH6, "[22]", PUBLIC, OUT, DEFAULT_ACL, "not reachable", ""},
      {SSH, "[22]", IPV6, "[" MAIN(ROUTE6(GATEWAY)) "]", DEFAULT_ACL, "not reachable", ""},
      {SSH6, "[22]", IPV6, OUT, DEFAULT_ACL, "not reachable", ""},
      {SSH6, "[22]", IPV6, "[" MAIN(ROUTE6(GATEWAY)) "]", "[]", "reachable", "2001:db8::1 i-1 [22]"},
      {SSH6, "[22]", IPV6, "[" MAIN(ROUTE6("\"EgressOnlyInternetGatewayId\": \"eigw-1\"")) "]", "[]", "not reachable",
       ""},
      {LIST, "[22, \"udp/53\"]", IPV6, "[" MAIN(ROUTE6(GATEWAY)) "]", "[]", "reachable",
       "2001:db8::1 i-1 [22,\"udp/53\"]"},
      /* the subnet's own table wins over the main one; another VPC's says nothing */
      {SSH, "[22]", PUBLIC, "[" MAIN(ROUTE(GATEWAY)) ", " OWN("") "]", DEFAULT_ACL, "not reachable", ""},
      {SSH, "[22]", PUBLIC, "[" OWN(ROUTE(GATEWAY)) ", " MAIN("") "]", DEFAULT_ACL, "reachable",
       "198.51.100.7 i-1 [22]"},
      {SSH, "[22]", PUBLIC, "[" ELSEWHERE(ROUTE(GATEWAY)) "]", DEFAULT_ACL, "not reachable", ""},
      {SSH, "[22]", PUBLIC, "[" MAIN(ROUTE("\"NatGatewayId\": \"nat-1\"")) "]", DEFAULT_ACL, "not reachable", ""},
      {SSH, "[22]", PUBLIC, "[" MAIN(ROUTE("\"GatewayId\": \"igw-1\", \"State\": \"blackhole\"")) "]", DEFAULT_ACL,
       "not reachable", ""},
      /* the ACL's lowest number that speaks of the port decides */
      {SSH, "[22]", PUBLIC, OUT, ACL(LAST), "not reachable", ""},
      {SSH, "[22]", PUBLIC, OUT,
       ACL(ENTRY(200, "allow", "0.0.0.0/0", ALL) ", " ENTRY(100, "deny", "0.0.0.0/0", TCP(22, 22))), "not reachable",
       ""},
      {SSH, "[22]", PUBLIC, OUT,
       ACL(ENTRY(100, "allow", "0.0.0.0/0", ALL) ", " ENTRY(200, "deny", "0.0.0.0/0", TCP(22, 22))), "reachable",
       "198.51.100.7 i-1 [22]"},
      {SSH, "[22]", PUBLIC, OUT, ACL(ENTRY(100, "allow", "0.0.0.0/0", TCP(443, 443)) ", " LAST), "not reachable", ""},
      /* letting a known range in is not letting the Internet in */
      {SSH, "[22]", PUBLIC, OUT, ACL(ENTRY(100, "allow", "203.0.113.0/24", ALL) ", " LAST), "not reachable", ""},
      /* only what the rule lets in, of the ports that are asked for */
      {"{\"IpProtocol\": \"tcp\", \"FromPort\": 20, \"ToPort\": 3389, \"CidrIpv4\": \"0.0.0.0/0\"}", "[22, 3389, 5900]",
       PUBLIC, OUT, ACL(ENTRY(100, "deny", "0.0.0.0/0", TCP(22, 22)) ", " ENTRY(200, "allow", "0.0.0.0/0", ALL)),
       "reachable", "198.51.100.7 i-1 [3389]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *arguments[] = {parsed(rows[i].rule), parsed(rows[i].ports), parsed(rows[i].interfaces),
                           parsed(rows[i].routes), parsed(rows[i].acls)};
    json_t *answer = function_exposure(arguments, 5, NULL, NULL);
    const json_t *first = json_array_get(json_object_get(answer, "Reachable"), 0);
    char shown[200] = "", *ports = first ? json_text(json_object_get(first, "Ports")) : NULL;
    if (first)
      snprintf(shown, sizeof shown, "%s %s %s", json_text_at(first, "Address", NULL),
               json_text_at(first, "InstanceId", NULL), ports);
    if (strcmp(json_text_at(answer, "Exposure", NULL), rows[i].exposure) != 0 || strcmp(shown, rows[i].reachable) != 0)
      fail_msg("row %zu: %s, %s", i, json_text_at(answer, "Exposure", NULL), shown);
    assert_true(json_array_size(json_object_get(answer, "Reachable")) <= 1);
    free(ports);
    json_decref(answer);
    for (size_t k = 0; k < 5; k++) json_decref(arguments[k]);
  }
}

/* A load balancer's interface is told as one. */
static void test_what_stands_there(void **state) {
  (void)state;
  json_t *arguments[] = {
      parsed(SSH), parsed("[22]"),
      parsed("[{\"NetworkInterfaceId\": \"eni-2\", \"SubnetId\": \"subnet-1\", \"VpcId\": \"vpc-1\", "
             "\"InterfaceType\": \"network_load_balancer\", \"PrivateIpAddresses\": [{\"Association\": "
             "{\"PublicIp\": \"198.51.100.8\"}}]}]"),
      parsed(OUT), json_null()};
  json_t *answer = function_exposure(arguments, 5, NULL, NULL);
  char *text = json_text(json_object_get(answer, "Reachable"));
  assert_string_equal(text,
                      "[{\"Address\":\"198.51.100.8\",\"InterfaceType\":\"network_load_balancer\","
                      "\"NetworkInterfaceId\":\"eni-2\",\"Ports\":[22]}]");
  free(text);
  json_decref(answer);
  for (size_t k = 0; k < 5; k++) json_decref(arguments[k]);
}

static void test_nothing_is_nothing(void **state) {
  (void)state;
  json_t *nothing[] = {json_null(), json_null(), json_null(), json_null(), json_null()};
  json_t *answer = function_exposure(nothing, 5, NULL, NULL);
  assert_string_equal(json_text_at(answer, "Exposure", NULL), "not attached");
  json_decref(answer);
}
