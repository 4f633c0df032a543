/* Security-group rules as values.  A rule is ec2's SecurityGroupRule (DescribeSecurityGroupRules): CidrIpv4 or CidrIpv6
 * or PrefixListId or ReferencedGroupInfo, IpProtocol, FromPort, ToPort; "-1" has ports -1/-1 or none.  CIDRs are
 * parsed, never compared as text: "0000:0000::/0" is ::/0, and host bits may be set. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "functions/functions.h"
#include "functions/network.h"

/* Shorter than these is "the Internet": no organization owns so much, and two halves of everything are everything. */
enum { INTERNET_PREFIX_IPV4 = 8, INTERNET_PREFIX_IPV6 = 16 };

int network_parse(const char *text, struct network *network) {
  char address[64];
  const char *slash = text ? strchr(text, '/') : NULL;
  size_t length = slash ? (size_t)(slash - text) : text ? strlen(text) : 0;
  if (length == 0 || length >= sizeof address) return -1;
  memcpy(address, text, length);
  address[length] = '\0';
  memset(network, 0, sizeof *network);
  network->family = strchr(address, ':') ? AF_INET6 : AF_INET;
  if (inet_pton(network->family, address, network->address) != 1) return -1;
  int bits = network->family == AF_INET ? 32 : 128;
  network->prefix = bits;
  if (!slash) return 0;
  char *end;
  long prefix = strtol(slash + 1, &end, 10);
  if (end == slash + 1 || *end || prefix < 0 || prefix > bits || slash[1] == '+' || slash[1] == '-') return -1;
  network->prefix = (int)prefix;
  return 0;
}

/* Are the first `bits` bits of both the same? */
static int same_bits(const struct network *left, const struct network *right, int bits) {
  int whole = bits / 8, rest = bits % 8;
  if (memcmp(left->address, right->address, (size_t)whole) != 0) return 0;
  if (rest == 0) return 1;
  unsigned mask = (0xFF00u >> rest) & 0xFF;
  return ((left->address[whole] ^ right->address[whole]) & mask) == 0;
}

int network_within(const struct network *inner, const struct network *outer) {
  return inner->family == outer->family && inner->prefix >= outer->prefix && same_bits(inner, outer, outer->prefix);
}

int network_is_internet(const struct network *network) {
  static const struct network private_ipv6[] = {
      {AF_INET6, {0xfc}, 7}, {AF_INET6, {0xfe, 0x80}, 10}, {AF_INET6, {0xff}, 8}};
  if (network->family == AF_INET) return network->prefix < INTERNET_PREFIX_IPV4;
  for (size_t i = 0; i < sizeof private_ipv6 / sizeof *private_ipv6; i++)
    if (network_within(network, &private_ipv6[i])) return 0;
  return network->prefix < INTERNET_PREFIX_IPV6;
}

int network_text_is_broad(const char *text) {
  enum { POLICY_PREFIX_IPV6 = 32 };
  struct network network;
  if (network_parse(text, &network) != 0) return -1;
  if (network_is_internet(&network)) return 1;
  return network.family == AF_INET6 && network.prefix < POLICY_PREFIX_IPV6 && (network.address[0] & 0xE0) == 0x20;
}

int network_text_is_internet(const char *text) {
  struct network network;
  return network_parse(text, &network) == 0 ? network_is_internet(&network) : -1;
}

static const char *rule_source(const json_t *rule) {
  const char *source = json_text_at(rule, "CidrIpv4", NULL);
  return *source ? source : json_text_at(rule, "CidrIpv6", NULL);
}

/* ---- prefix lists ---- */

/* Of IPv4, so many addresses that nobody but the Internet has them: those of the shortest block that is none, twice. */
static const double internet_addresses = 2.0 * (1 << (32 - INTERNET_PREFIX_IPV4));

static int is_private(const struct network *network) {
  static const struct network ranges[] = {
      {AF_INET, {10}, 8}, {AF_INET, {100, 64}, 10}, {AF_INET, {172, 16}, 12}, {AF_INET, {192, 168}, 16}};
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (network_within(network, &ranges[i])) return 1;
  return 0;
}

/* Is it in an earlier block, or a later larger one?  Then it is counted there. */
static int counted_elsewhere(const struct network *blocks, size_t count, size_t own) {
  for (size_t i = 0; i < count; i++) {
    if (i == own || !network_within(&blocks[own], &blocks[i])) continue;
    if (i < own || blocks[i].prefix < blocks[own].prefix) return 1;
  }
  return 0;
}

/* Many blocks may be the Internet together though none is by itself (IPv6: each is judged alone). */
static int blocks_are_internet(const struct network *blocks, size_t count) {
  double addresses = 0;
  for (size_t i = 0; i < count; i++) {
    if (network_is_internet(&blocks[i])) return 1;
    if (blocks[i].family == AF_INET && !is_private(&blocks[i]) && !counted_elsewhere(blocks, count, i))
      addresses += (double)(1ULL << (32 - blocks[i].prefix));
  }
  return addresses >= internet_addresses;
}

/* entries: [{PrefixListId, Cidr}] of any lists. */
static int list_is_internet(const char *list, const json_t *entries) {
  size_t size = json_array_size(entries), count = 0;
  struct network *blocks = calloc(size + 1, sizeof *blocks);
  for (size_t i = 0; blocks && i < size; i++) {
    const json_t *entry = json_array_get(entries, i);
    if (strcmp(json_text_at(entry, "PrefixListId", NULL), list) == 0 &&
        network_parse(json_text_at(entry, "Cidr", NULL), &blocks[count]) == 0)
      count++;
  }
  int answer = blocks && blocks_are_internet(blocks, count);
  free(blocks);
  return answer;
}

json_t *function_is_internet(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)scope, (void)error;
  struct network network;
  const char *list = json_text_at(arguments[0], "PrefixListId", NULL);
  if (*list) return json_boolean(count > 1 && list_is_internet(list, arguments[1]));
  return json_boolean(network_parse(rule_source(arguments[0]), &network) == 0 && network_is_internet(&network));
}

/* ---- protocols and ports ---- */
enum protocol network_protocol(const char *text) {
  static const struct {
    const char *text;
    enum protocol protocol;
  } names[] = {{"-1", PROTOCOL_ALL},  {"tcp", PROTOCOL_TCP},       {"6", PROTOCOL_TCP},
               {"udp", PROTOCOL_UDP}, {"17", PROTOCOL_UDP},        {"icmp", PROTOCOL_ICMP},
               {"1", PROTOCOL_ICMP},  {"icmpv6", PROTOCOL_ICMPV6}, {"58", PROTOCOL_ICMPV6}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasecmp(names[i].text, text) == 0) return names[i].protocol;
  return PROTOCOL_OTHER;
}

int network_port_parse(const json_t *value, struct port *port) {
  if (json_is_integer(value)) {
    port->protocol = PROTOCOL_TCP;
    port->number = (int)json_integer_value(value);
  } else {
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    const char *slash = strchr(text, '/');
    char protocol[16] = "";
    if (!slash || (size_t)(slash - text) >= sizeof protocol) return -1;
    memcpy(protocol, text, (size_t)(slash - text));
    port->protocol = network_protocol(protocol);
    char *end;
    port->number = (int)strtol(slash + 1, &end, 10);
    if (*end || end == slash + 1) return -1;
  }
  if (port->protocol != PROTOCOL_TCP && port->protocol != PROTOCOL_UDP) return -1;
  return port->number >= 0 && port->number <= 65535 ? 0 : -1;
}

struct rule_ports network_rule_ports(const json_t *rule) {
  struct rule_ports ports = {
      .protocol = network_protocol(json_text_at(rule, "IpProtocol", NULL)), .from = 0, .to = 65535};
  const json_t *from = json_object_get(rule, "FromPort"), *to = json_object_get(rule, "ToPort");
  if (ports.protocol == PROTOCOL_ALL) return ports;
  if (json_is_integer(from)) ports.from = (int)json_integer_value(from);
  if (json_is_integer(to)) ports.to = (int)json_integer_value(to);
  if (ports.from == -1 && ports.to == -1) ports.from = 0, ports.to = 65535;
  return ports;
}

int network_covers(struct rule_ports rule, struct port port) {
  return (rule.protocol == PROTOCOL_ALL || rule.protocol == port.protocol) && rule.from <= port.number &&
         port.number <= rule.to;
}

static int bad_ports(struct error *error) {
  return error_set(error, ERROR_INVALID, "invalid-value",
                   "ports must be numbers from 0 to 65535 or texts like \"udp/53\"");
}

json_t *function_covers_port(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)count, (void)scope;
  if (json_is_null(arguments[0])) return json_false();
  struct rule_ports rule = network_rule_ports(arguments[0]);
  for (size_t i = 0; i < json_array_size(arguments[1]); i++) {
    struct port port;
    if (network_port_parse(json_array_get(arguments[1], i), &port) != 0) return bad_ports(error), NULL;
    if (network_covers(rule, port)) return json_true();
  }
  return json_false();
}

/* ---- every port ---- */

/* Who a rule lets in, as text: CIDR, prefix list or group. */
static const char *rule_peer(const json_t *rule) {
  const char *list = json_text_at(rule, "PrefixListId", NULL), *source = rule_source(rule);
  if (*source) return source;
  return *list ? list : json_text_at(rule, "ReferencedGroupInfo", "GroupId", NULL);
}

/* The highest port up to which the rules of this protocol and peer let everything in, when all below `next` is in. */
static int reach(const json_t *rules, const json_t *like, enum protocol protocol, int next) {
  int furthest = next - 1;
  for (size_t i = 0; i < json_array_size(rules); i++) {
    const json_t *rule = json_array_get(rules, i);
    struct rule_ports ports = network_rule_ports(rule);
    if (json_is_true(json_object_get(rule, "IsEgress")) || ports.protocol != protocol) continue;
    if (ports.from > next || ports.to <= furthest || strcmp(rule_peer(rule), rule_peer(like)) != 0) continue;
    furthest = ports.to;
  }
  return furthest;
}

json_t *function_opens_all_ports(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error) {
  (void)count, (void)scope, (void)error;
  if (!json_is_object(arguments[0])) return json_false();
  enum protocol protocol = network_rule_ports(arguments[0]).protocol;
  if (protocol == PROTOCOL_ALL) return json_true();
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return json_false();
  int next = 1, furthest; /* port 0 is nobody's */
  while ((furthest = reach(arguments[1], arguments[0], protocol, next)) >= next && furthest < 65535)
    next = furthest + 1;
  return json_boolean(furthest >= 65535);
}

/* ---- permissions (ec2's IpPermission) ---- */

/* Adds the rule's source (with its description) to the permission. */
static void add_source(json_t *permission, const json_t *rule) {
  const struct {
    const char *from, *list, *member;
  } sources[] = {{"CidrIpv4", "IpRanges", "CidrIp"},
                 {"CidrIpv6", "Ipv6Ranges", "CidrIpv6"},
                 {"PrefixListId", "PrefixListIds", "PrefixListId"}};
  json_t *description = json_object_get(rule, "Description");
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    json_t *value = json_object_get(rule, sources[i].from);
    if (!json_is_string(value)) continue;
    json_t *range = json_pack("{s:O}", sources[i].member, value);
    if (json_is_string(description) && json_string_length(description) > 0)
      json_object_set(range, "Description", description);
    json_object_set_new(permission, sources[i].list, json_pack("[o]", range));
  }
  const json_t *group = json_object_get(rule, "ReferencedGroupInfo");
  if (!json_is_object(group)) return;
  json_t *pair = json_object();
  const char *const members[] = {"GroupId", "UserId", "VpcId", "VpcPeeringConnectionId"};
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (json_is_string(json_object_get(group, members[i])))
      json_object_set(pair, members[i], json_object_get(group, members[i]));
  if (json_is_string(description) && json_string_length(description) > 0)
    json_object_set(pair, "Description", description);
  json_object_set_new(permission, "UserIdGroupPairs", json_pack("[o]", pair));
}

json_t *function_rule_permission(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error) {
  (void)count, (void)scope, (void)error;
  json_t *rule = arguments[0];
  if (!json_is_object(rule)) return json_null();
  json_t *permission = json_pack("{s:s}", "IpProtocol", json_text_at(rule, "IpProtocol", NULL));
  if (network_protocol(json_text_at(rule, "IpProtocol", NULL)) != PROTOCOL_ALL) {
    const char *const members[] = {"FromPort", "ToPort"};
    for (size_t i = 0; i < 2; i++)
      if (json_is_integer(json_object_get(rule, members[i])))
        json_object_set(permission, members[i], json_object_get(rule, members[i]));
  }
  add_source(permission, rule);
  return permission;
}

/* The rule's old source with another protocol and range. */
static void keep_old_source(json_t *permissions, const json_t *rule, const char *protocol, int from, int to) {
  if (from > to) return;
  json_t *permission = json_pack("{s:s, s:i, s:i}", "IpProtocol", protocol, "FromPort", from, "ToPort", to);
  add_source(permission, rule);
  json_array_append_new(permissions, permission);
}

static void allow_known(json_t *permissions, const char *protocol, int from, int to, const json_t *ranges,
                        const json_t *rule) {
  json_t *description = json_object_get(rule, "Description");
  for (size_t i = 0; i < json_array_size(ranges); i++) {
    const char *range = json_string_value(json_array_get(ranges, i));
    struct network network;
    if (network_parse(range, &network) != 0) continue;
    int ipv4 = network.family == AF_INET;
    json_t *entry = json_pack("{s:s}", ipv4 ? "CidrIp" : "CidrIpv6", range);
    if (json_is_string(description) && json_string_length(description) > 0)
      json_object_set(entry, "Description", description);
    json_array_append_new(permissions, json_pack("{s:s, s:i, s:i, s:[o]}", "IpProtocol", protocol, "FromPort", from,
                                                 "ToPort", to, ipv4 ? "IpRanges" : "Ipv6Ranges", entry));
  }
}

static int compare_numbers(const void *left, const void *right) { return *(const int *)left - *(const int *)right; }

/* One protocol of the rule: its sensitive ports go to the known ranges, the stretches between stay with the old source.
 */
static void narrow_protocol(json_t *permissions, const json_t *rule, const char *protocol, int from, int to,
                            const int *ports, size_t count, const json_t *ranges) {
  int next = from;
  for (size_t i = 0; i < count; i++) {
    if (ports[i] < next || ports[i] > to) continue;
    size_t last = i;
    while (last + 1 < count && ports[last + 1] <= ports[last] + 1 && ports[last + 1] <= to) last++;
    keep_old_source(permissions, rule, protocol, next, ports[i] - 1);
    allow_known(permissions, protocol, ports[i], ports[last], ranges, rule);
    next = ports[last] + 1;
    i = last;
  }
  keep_old_source(permissions, rule, protocol, next, to);
}

/* What replaces a rule that lets sensitive ports in.  "-1" cannot be subtracted from: it becomes explicit tcp, udp and
 * icmp rules (other IP protocols, which "-1" covers as well, are dropped: nobody meant GRE or ESP by it). */
json_t *function_narrow_rule(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)count, (void)scope;
  json_t *rule = arguments[0], *permissions = json_array();
  const struct {
    const char *name;
    enum protocol protocol;
  } protocols[] = {{"tcp", PROTOCOL_TCP}, {"udp", PROTOCOL_UDP}};
  if (!json_is_object(rule)) return permissions;
  struct rule_ports range = network_rule_ports(rule);
  size_t wanted = json_array_size(arguments[1]);
  int *numbers = calloc(wanted + 1, sizeof *numbers);
  for (size_t p = 0; numbers && p < 2; p++) {
    size_t used = 0;
    for (size_t i = 0; i < wanted; i++) {
      struct port port;
      if (network_port_parse(json_array_get(arguments[1], i), &port) != 0) {
        free(numbers);
        json_decref(permissions);
        return bad_ports(error), NULL;
      }
      if (port.protocol == protocols[p].protocol) numbers[used++] = port.number;
    }
    qsort(numbers, used, sizeof *numbers, compare_numbers);
    if (range.protocol == PROTOCOL_ALL || range.protocol == protocols[p].protocol)
      narrow_protocol(permissions, rule, protocols[p].name, range.from, range.to, numbers, used, arguments[2]);
  }
  free(numbers);
  if (range.protocol == PROTOCOL_ALL)
    keep_old_source(permissions, rule, *json_text_at(rule, "CidrIpv6", NULL) ? "icmpv6" : "icmp", -1, -1);
  return permissions;
}

/* ---- CIDR relations ---- */
static json_t *relate(json_t *const *arguments, int overlap) {
  struct network network, range;
  if (!json_is_string(arguments[0]) || network_parse(json_string_value(arguments[0]), &network) != 0)
    return json_false();
  size_t ranges = json_is_string(arguments[1]) ? 1 : json_array_size(arguments[1]);
  for (size_t i = 0; i < ranges; i++) {
    const json_t *text = json_is_string(arguments[1]) ? arguments[1] : json_array_get(arguments[1], i);
    if (!json_is_string(text) || network_parse(json_string_value(text), &range) != 0) continue;
    if (network_within(&network, &range) || (overlap && network_within(&range, &network))) return json_true();
  }
  return json_false();
}

json_t *function_cidr_within(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)count, (void)scope, (void)error;
  return relate(arguments, 0);
}

json_t *function_cidr_overlaps(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                               struct error *error) {
  (void)count, (void)scope, (void)error;
  return relate(arguments, 1);
}

/* ---- the same rule? ---- */
static int same_network(const char *one, const char *other) {
  struct network left, right;
  if (network_parse(one, &left) != 0 || network_parse(other, &right) != 0) return strcmp(one, other) == 0;
  return left.family == right.family && left.prefix == right.prefix && same_bits(&left, &right, left.prefix);
}

int network_same_rule(const json_t *one, const json_t *other) {
  struct rule_ports left = network_rule_ports(one), right = network_rule_ports(other);
  const json_t *side = json_object_get(one, "IsEgress"), *other_side = json_object_get(other, "IsEgress");
  if (side && other_side && json_is_true(side) != json_is_true(other_side)) return 0;
  if (left.protocol != right.protocol || left.from != right.from || left.to != right.to) return 0;
  if (left.protocol == PROTOCOL_OTHER &&
      strcmp(json_text_at(one, "IpProtocol", NULL), json_text_at(other, "IpProtocol", NULL)) != 0)
    return 0;
  return same_network(json_text_at(one, "CidrIpv4", NULL), json_text_at(other, "CidrIpv4", NULL)) &&
         same_network(json_text_at(one, "CidrIpv6", NULL), json_text_at(other, "CidrIpv6", NULL)) &&
         strcmp(json_text_at(one, "PrefixListId", NULL), json_text_at(other, "PrefixListId", NULL)) == 0 &&
         strcmp(json_text_at(one, "ReferencedGroupInfo", "GroupId", NULL),
                json_text_at(other, "ReferencedGroupInfo", "GroupId", NULL)) == 0;
}
