/* Networks, protocols and ports as values: what the functions over security-group rules share.  Private to the folder.
 */
#ifndef PARAPET_FUNCTIONS_NETWORK_H
#define PARAPET_FUNCTIONS_NETWORK_H

#include "json/value.h"

struct network {
  int family; /* AF_INET, AF_INET6 */
  unsigned char address[16];
  int prefix;
};
/* "203.0.113.0/24", "::/0", or an address.  0, or -1 when it is none. */
int network_parse(const char *text, struct network *network);
int network_within(const struct network *inner, const struct network *outer);
int network_is_internet(const struct network *network); /* so large that it is the Internet */

enum protocol { PROTOCOL_ALL, PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_OTHER };
enum protocol network_protocol(const char *text); /* by name or number; "-1": all */

struct port {
  enum protocol protocol;
  int number;
};
/* 22 is tcp/22; "udp/53" names its protocol.  0, or -1 for anything else. */
int network_port_parse(const json_t *value, struct port *port);

struct rule_ports {
  enum protocol protocol;
  int from, to;
};
struct rule_ports network_rule_ports(const json_t *rule);
int network_covers(struct rule_ports rule, struct port port);

#endif
