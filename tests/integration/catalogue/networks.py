"""Peerings, transit gateways and endpoint services, with strangers and with accounts of ours."""

import itertools
import json

from . import DEV, PROD, REGION, STRANGER, numbers
from .ec2 import tcp

_networks = itertools.count(1)


def _network(client):
    """(client, id, range) of a network that no other one's range touches"""
    ec2, cidr = client.quietly("ec2"), f"10.{next(_networks)}.0.0/16"
    return ec2, ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"], cidr


def _other(client, bad):
    """A stranger; a twin's other side is ours."""
    return client.of(STRANGER if bad else PROD)


def _asked(client, other):
    """The other one asks to peer: (peering, our network, its range, theirs)"""
    (ec2, theirs, their_range), (_, ours, our_range) = _network(other), _network(client)
    asked = ec2.create_vpc_peering_connection(
        VpcId=theirs, PeerVpcId=ours, PeerOwnerId=client.account, PeerRegion=REGION
    )
    return asked["VpcPeeringConnection"]["VpcPeeringConnectionId"], ours, our_range, their_range


def _let_in(client, network, theirs):
    """Rules for the other side, in and out, with a description and tags; one that is for others as well."""
    ec2 = client.quietly("ec2")
    group = ec2.create_security_group(GroupName=f"catalogue-{next(numbers)}", Description="catalogue", VpcId=network)["GroupId"]
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "ticket", "Value": "12"}]}]
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": theirs, "Description": "theirs"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule], TagSpecifications=tags)
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[rule], TagSpecifications=tags)
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[tcp(22, 22, "10.0.0.0/8")])


def _table(client, network):
    found = client("ec2").describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [network]}])
    return found["RouteTables"][0]["RouteTableId"]


def peering_accepted(client, bad):
    """Everything is prepared; then theirs is accepted."""
    pcx, network, _, theirs = _asked(client, _other(client, bad))
    _let_in(client, network, theirs)
    client("ec2").accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    return pcx


def _accepted(client, bad):
    """(peering, our table, their range) of one that was accepted long ago"""
    pcx, network, _, theirs = _asked(client, _other(client, bad))
    client.quietly("ec2").accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    _let_in(client, network, theirs)
    return pcx, network, theirs


def route_made(client, bad):
    pcx, network, theirs = _accepted(client, bad)
    table = _table(client, network)
    client("ec2").create_route(RouteTableId=table, DestinationCidrBlock=theirs, VpcPeeringConnectionId=pcx)
    return pcx


def route_replaced(client, bad):
    pcx, network, theirs = _accepted(client, bad)
    ec2, table = client.quietly("ec2"), _table(client, network)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=theirs, GatewayId=gateway)
    client("ec2").replace_route(RouteTableId=table, DestinationCidrBlock=theirs, VpcPeeringConnectionId=pcx)
    return pcx


def _peering(client, pcx):
    """(the peering, our side, the other one)"""
    found = client("ec2").describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])["VpcPeeringConnections"][0]
    sides = [found["RequesterVpcInfo"], found["AccepterVpcInfo"]]
    return (found, *sorted(sides, key=lambda side: side["OwnerId"] != client.account))


def across(client, pcx):
    """Every route of our network, every rule of its groups, without what is new each time."""
    _, ours, _ = _peering(client, pcx)
    ec2, here = client("ec2"), [{"Name": "vpc-id", "Values": [ours["VpcId"]]}]
    routes = [route for table in ec2.describe_route_tables(Filters=here)["RouteTables"] for route in table["Routes"]]
    groups = [group["GroupId"] for group in ec2.describe_security_groups(Filters=here)["SecurityGroups"]]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": groups}])["SecurityGroupRules"]
    rules = [{key: value for key, value in rule.items() if "SecurityGroupRule" not in key} for rule in rules]
    return [sorted(json.dumps(one, sort_keys=True) for one in some) for some in (routes, rules)]


def strangers_reach_across(client, pcx):
    found, _, theirs = _peering(client, pcx)
    assert found["Status"]["Code"] == "active"  # it stays: to delete it could not be undone
    routes, rules = across(client, pcx)
    through = [route for route in routes if pcx in route] + [rule for rule in rules if theirs["CidrBlock"] in rule]
    return theirs["OwnerId"] == STRANGER and through != []


def peering_joined(client, bad):
    """Accepted, and nothing reaches across: that is for people to judge."""
    pcx = _asked(client, _other(client, bad))[0]
    client("ec2").accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    return pcx


def peering_asked_for(client, bad):
    (_, theirs, _), (_, ours, _) = _network(_other(client, bad)), _network(client)
    asked = client("ec2").create_vpc_peering_connection(
        VpcId=ours, PeerVpcId=theirs, PeerOwnerId=_other(client, bad).account, PeerRegion=REGION
    )
    return asked["VpcPeeringConnection"]["VpcPeeringConnectionId"]


def stranger_is_a_peer(client, pcx):
    found, _, theirs = _peering(client, pcx)
    return theirs["OwnerId"] == STRANGER and found["Status"]["Code"] in ("pending-acceptance", "active")


def asked_by_stranger(client, bad):
    return _asked(client, _other(client, bad))[0]


def stranger_waits(client, pcx):
    found, _, theirs = _peering(client, pcx)
    return theirs["OwnerId"] == STRANGER and found["Status"]["Code"] == "pending-acceptance"


def gateway_attached(client, bad):
    """The other one's gateway asks ours to peer, and is accepted."""
    other = _other(client, bad)
    ours, theirs = (
        one.quietly("ec2").create_transit_gateway()["TransitGateway"]["TransitGatewayId"] for one in (client, other)
    )
    asked = other.quietly("ec2").create_transit_gateway_peering_attachment(
        TransitGatewayId=theirs, PeerTransitGatewayId=ours, PeerAccountId=client.account, PeerRegion=REGION
    )
    one = asked["TransitGatewayPeeringAttachment"]["TransitGatewayAttachmentId"]
    client("ec2").accept_transit_gateway_peering_attachment(TransitGatewayAttachmentId=one)
    return one


def stranger_is_attached(client, one):
    found = client("ec2").describe_transit_gateway_attachments(TransitGatewayAttachmentIds=[one])
    return [shown["ResourceOwnerId"] for shown in found["TransitGatewayAttachments"]] == [STRANGER]


def endpoint_service(client, bad):
    ec2 = client.quietly("ec2")
    _, network, cidr = _network(client)
    subnet = ec2.create_subnet(VpcId=network, CidrBlock=cidr.replace("/16", "/24"))["Subnet"]["SubnetId"]
    balancer = client.quietly("elbv2").create_load_balancer(
        Name=f"catalogue-{next(numbers)}", Subnets=[subnet], Type="network"
    )["LoadBalancers"][0]["LoadBalancerArn"]  # fmt: skip
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer])
    one = made["ServiceConfiguration"]["ServiceId"]
    ours = [f"arn:aws:iam::{DEV}:root"]
    theirs = [f"arn:aws:iam::{STRANGER}:role/x", "*"] if bad else [f"arn:aws:iam::{PROD}:role/x"]
    client("ec2").modify_vpc_endpoint_service_permissions(ServiceId=one, AddAllowedPrincipals=ours + theirs)
    return one


def let_in(client, one):
    found = client("ec2").describe_vpc_endpoint_service_permissions(ServiceId=one)["AllowedPrincipals"]
    return sorted(principal["Principal"] for principal in found)


def strangers_are_let_in(client, one):
    assert f"arn:aws:iam::{DEV}:root" in let_in(client, one)  # ours stays
    return any(principal == "*" or STRANGER in principal for principal in let_in(client, one))
