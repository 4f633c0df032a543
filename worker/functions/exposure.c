/* Who is really reachable: which network interfaces behind a security-group rule can be reached from the Internet.
 *
 * An interface is reachable when it has a public IPv4 address or a global IPv6 one of the rule's family, its subnet's
 * route table leads that family to an Internet gateway, and its subnet's network ACL lets one of the ports in.  What is
 * not looked at: VPC Block Public Access, an ACL's way out, firewalls on the machine, and load balancers in front of it
 * (their own interfaces are told, by their type). */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "functions/functions.h"
#include "functions/network.h"

struct look { /* at one rule */
  const json_t *rule, *ports, *routes, *acls;
};

/* The element of `list` that is associated with the subnet; with `main`, else the VPC's main one (NULL: there is none).
 */
static const json_t *of_subnet(const json_t *list, const json_t *interface, int main) {
  const char *subnet = json_text_at(interface, "SubnetId", NULL), *vpc = json_text_at(interface, "VpcId", NULL);
  const json_t *fallback = NULL;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *one = json_array_get(list, i), *associations = json_object_get(one, "Associations");
    for (size_t k = 0; k < json_array_size(associations); k++) {
      const json_t *association = json_array_get(associations, k);
      if (strcmp(json_text_at(association, "SubnetId", NULL), subnet) == 0) return one;
      if (main && json_is_true(json_object_get(association, "Main")) &&
          strcmp(json_text_at(one, "VpcId", NULL), vpc) == 0)
        fallback = one;
    }
  }
  return fallback;
}

static int leads_out(const json_t *table, int family) {
  const char *key = family == AF_INET ? "DestinationCidrBlock" : "DestinationIpv6CidrBlock";
  const json_t *routes = json_object_get(table, "Routes");
  for (size_t i = 0; i < json_array_size(routes); i++) {
    const json_t *route = json_array_get(routes, i);
    if (network_text_is_internet(json_text_at(route, key, NULL)) == 1 &&
        strncmp(json_text_at(route, "GatewayId", NULL), "igw-", 4) == 0 &&
        strcmp(json_text_at(route, "State", NULL), "blackhole") != 0)
      return 1;
  }
  return 0;
}

/* Does the entry say something about the whole Internet and this port? */
static int entry_concerns(const json_t *entry, int family, struct port port) {
  const json_t *range = json_object_get(entry, "PortRange"), *from = json_object_get(range, "From");
  enum protocol protocol = network_protocol(json_text_at(entry, "Protocol", NULL));
  if (json_is_true(json_object_get(entry, "Egress"))) return 0;
  if (network_text_is_internet(json_text_at(entry, family == AF_INET ? "CidrBlock" : "Ipv6CidrBlock", NULL)) != 1)
    return 0;
  if (protocol != PROTOCOL_ALL && protocol != port.protocol) return 0;
  return !json_is_integer(from) ||
         (json_integer_value(from) <= port.number && port.number <= json_integer_value(json_object_get(range, "To")));
}

/* The entry of the lowest number decides; an ACL that was not read, or says nothing, is taken to let it in. */
static int acl_lets_in(const json_t *acl, int family, struct port port) {
  const json_t *entries = json_object_get(acl, "Entries"), *first = NULL;
  for (size_t i = 0; i < json_array_size(entries); i++) {
    const json_t *entry = json_array_get(entries, i);
    if (entry_concerns(entry, family, port) && (!first || json_integer_value(json_object_get(entry, "RuleNumber")) <
                                                              json_integer_value(json_object_get(first, "RuleNumber"))))
      first = entry;
  }
  return !first || strcmp(json_text_at(first, "RuleAction", NULL), "allow") == 0;
}

static json_t *open_ports(const struct look *look, const json_t *acl, int family) {
  struct rule_ports range = network_rule_ports(look->rule);
  json_t *open = json_array();
  for (size_t i = 0; i < json_array_size(look->ports); i++) {
    struct port port;
    json_t *value = json_array_get(look->ports, i);
    if (network_port_parse(value, &port) == 0 && network_covers(range, port) && acl_lets_in(acl, family, port))
      json_array_append(open, value);
  }
  return open;
}

static void add_reachable(json_t *found, const json_t *interface, const char *address, json_t *ports) {
  json_t *one = json_pack("{s:s, s:s, s:O}", "NetworkInterfaceId", json_text_at(interface, "NetworkInterfaceId", NULL),
                          "Address", address, "Ports", ports);
  const char *instance = json_text_at(interface, "Attachment", "InstanceId", NULL);
  const char *type = json_text_at(interface, "InterfaceType", NULL);
  if (*instance) json_object_set_new(one, "InstanceId", json_string(instance));
  if (*type && strcmp(type, "interface") != 0) json_object_set_new(one, "InterfaceType", json_string(type));
  json_array_append_new(found, one);
}

/* A rule's own family; one with a prefix list may let in both. */
static int rule_has_family(const json_t *rule, int family) {
  if (*json_text_at(rule, "PrefixListId", NULL)) return 1;
  return *json_text_at(rule, family == AF_INET ? "CidrIpv4" : "CidrIpv6", NULL) != '\0';
}

static void add_address(json_t *addresses, const json_t *text) {
  if (json_is_string(text) && json_string_length(text) > 0)
    json_object_set_new(addresses, json_string_value(text), json_true());
}

/* The interface's addresses that the Internet knows, as keys.  The primary's public one is told twice. */
static json_t *public_addresses(const json_t *interface, int family) {
  json_t *addresses = json_object(), *element;
  size_t index;
  if (family == AF_INET6) {
    json_array_foreach(json_object_get(interface, "Ipv6Addresses"), index, element)
        add_address(addresses, json_object_get(element, "Ipv6Address"));
    return addresses;
  }
  add_address(addresses, json_at(interface, "Association", "PublicIp", NULL));
  json_array_foreach(json_object_get(interface, "PrivateIpAddresses"), index, element)
      add_address(addresses, json_at(element, "Association", "PublicIp", NULL));
  return addresses;
}

static void look_at(const struct look *look, const json_t *interface, int family, json_t *found) {
  json_t *addresses = public_addresses(interface, family), *value;
  const char *address;
  if (json_object_size(addresses) > 0 && rule_has_family(look->rule, family) &&
      leads_out(of_subnet(look->routes, interface, 1), family)) {
    json_t *ports = open_ports(look, of_subnet(look->acls, interface, 0), family);
    if (json_array_size(ports) > 0)
      json_object_foreach(addresses, address, value) add_reachable(found, interface, address, ports);
    json_decref(ports);
  }
  json_decref(addresses);
}

json_t *function_exposure(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error) {
  (void)count, (void)scope, (void)error;
  struct look look = {.rule = arguments[0], .ports = arguments[1], .routes = arguments[3], .acls = arguments[4]};
  json_t *interfaces = arguments[2], *found = json_array();
  size_t interface_count = json_array_size(interfaces);
  for (size_t i = 0; i < interface_count; i++) {
    look_at(&look, json_array_get(interfaces, i), AF_INET, found);
    look_at(&look, json_array_get(interfaces, i), AF_INET6, found);
  }
  const char *word = json_array_size(found) > 0 ? "reachable" : interface_count > 0 ? "not reachable" : "not attached";
  return json_pack("{s:s, s:o}", "Exposure", word, "Reachable", found);
}
