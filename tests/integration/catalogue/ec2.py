"""Security groups, instances, volumes, databases: what is wrong with them, and what is nearly the same but right."""

import json

from . import KNOWN, REGION, numbers


# ---- security groups ----


def _group(client, permission):
    ec2 = client("ec2")
    group = ec2.create_security_group(GroupName=f"catalogue-{next(numbers)}", Description="catalogue")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    return group


def ingress_rules(client, group):
    found = client("ec2").describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
    return [rule for rule in found["SecurityGroupRules"] if not rule["IsEgress"]]


def ingress(client, group):
    """The rules without what is new each time: their ids, and the ARN that holds it."""
    rules = [{k: v for k, v in rule.items() if "SecurityGroupRule" not in k} for rule in ingress_rules(client, group)]
    return sorted(json.dumps(rule, sort_keys=True) for rule in rules)


def tcp(first, last, cidr):
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": cidr}]}


def remote_desktop(client, bad):
    return _group(client, tcp(3389, 3389, "0.0.0.0/0" if bad else "10.0.0.0/8"))


def database_port(client, bad):
    return _group(client, tcp(5400, 5500, "0.0.0.0/0") if bad else tcp(5433, 5500, "0.0.0.0/0"))


def described_rule(client, bad):
    """A rule with a description and tags, both of which an undo brings back."""
    ec2 = client("ec2")
    group = ec2.create_security_group(GroupName=f"catalogue-{next(numbers)}", Description="catalogue")["GroupId"]
    source = {"CidrIp": "0.0.0.0/0" if bad else KNOWN, "Description": "for the migration"}
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [source]}],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "ticket", "Value": "12"}]}],
    )
    return group


def _modified(client, first, last, before, after):
    """A rule that was right, and is changed."""
    group = _group(client.quietly, tcp(first, last, before))
    number = ingress_rules(client, group)[0]["SecurityGroupRuleId"]
    rule = {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, "CidrIpv4": after}
    client("ec2").modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": number, "SecurityGroupRule": rule}]
    )
    return group


def modified_rule(client, bad):
    return _modified(client, 22, 22, KNOWN, "0.0.0.0/0" if bad else "192.0.2.0/24")


def modified_desktop(client, bad):
    return _modified(client, 3389, 3389, KNOWN, "0.0.0.0/0" if bad else "192.0.2.0/24")


def modified_inside(client, bad):
    group = _group(client.quietly, tcp(443, 443, "10.0.0.0/8"))
    number = ingress_rules(client, group)[0]["SecurityGroupRuleId"]
    rule = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535 if bad else 443, "CidrIpv4": "10.0.0.0/8"}
    client("ec2").modify_security_group_rules(
        GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": number, "SecurityGroupRule": rule}]
    )
    return group


def every_port_is_open(client, group):
    return any((rule["FromPort"], rule["ToPort"]) == (0, 65535) for rule in ingress_rules(client, group))


def _prefix_list(client, cidr):
    return client("ec2").create_managed_prefix_list(
        PrefixListName=f"catalogue-{next(numbers)}", MaxEntries=5, AddressFamily="IPv4", Entries=[{"Cidr": cidr}]
    )["PrefixList"]  # fmt: skip


def _by_list(made, port=3389):
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "PrefixListIds": [{"PrefixListId": made["PrefixListId"]}]}


def prefix_list(client, bad):
    return _group(client, _by_list(_prefix_list(client, "128.0.0.0/1" if bad else KNOWN)))


def prefix_list_that_grew(client, bad, port=3389):
    """The group is right when it is made; the list that it names is changed afterwards."""
    made = _prefix_list(client.quietly, KNOWN)
    group = _group(client.quietly, _by_list(made, port))
    client("ec2").modify_managed_prefix_list(
        PrefixListId=made["PrefixListId"], CurrentVersion=1, AddEntries=[{"Cidr": "0.0.0.0/0" if bad else "192.0.2.0/24"}]
    )
    return group


def from_a_prefix_list(client, group):
    """A list that holds the Internet, still or again."""
    lists = [rule["PrefixListId"] for rule in ingress_rules(client, group) if "PrefixListId" in rule]
    read = client("ec2").get_managed_prefix_list_entries
    return any(entry["Cidr"].endswith(("/0", "/1")) for one in lists for entry in read(PrefixListId=one)["Entries"])


def exposed_instance(client, bad):
    """An instance with a public address in a VPC that has a way to the Internet (moto's default VPC has none)."""
    ec2 = client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
    main = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=main)["RouteTables"][0]
    if not any("GatewayId" in route and route["GatewayId"].startswith("igw-") for route in table["Routes"]):
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    group = ec2.create_security_group(GroupName=f"catalogue-{next(numbers)}", Description="catalogue")["GroupId"]
    machine = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SecurityGroupIds=[group],
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
    )["Instances"][0]["InstanceId"]  # fmt: skip
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=machine)
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[tcp(3306, 3306, "0.0.0.0/0" if bad else "10.0.0.0/8")]
    )
    return group


def names_the_instance(evidence, client, group):
    found = client("ec2").describe_instances(Filters=[{"Name": "instance.group-id", "Values": [group]}])
    machine = found["Reservations"][0]["Instances"][0]
    reachable = evidence[0]["Reachable"][0]
    assert evidence[0]["Exposure"] == "reachable", evidence
    return (reachable["InstanceId"], reachable["Address"]) == (machine["InstanceId"], machine["PublicIpAddress"])


def says_not_attached(evidence, client, group):
    return [rule["Exposure"] for rule in evidence] == ["not attached"]


def two_halves_inside(client, bad):
    group = _group(client, tcp(0, 32767, "10.0.0.0/8"))
    client("ec2").authorize_security_group_ingress(
        GroupId=group, IpPermissions=[tcp(32768, 65535 if bad else 65534, "10.0.0.0/8")]
    )
    return group


def halves_are_open(client, group):
    return {32767, 65535} <= {rule["ToPort"] for rule in ingress_rules(client, group)}


def from_everywhere(port):
    return lambda client, group: any(
        rule["FromPort"] <= port <= rule["ToPort"] and rule.get("CidrIpv4") == "0.0.0.0/0" for rule in ingress_rules(client, group)
    )


def everything_inside(client, bad):
    return _group(client, {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]} if bad else tcp(443, 443, "10.0.0.0/8"))


def everything_is_open(client, group):
    return any(rule["IpProtocol"] == "-1" for rule in ingress_rules(client, group))


# ---- EC2 ----


def instance(client, bad):
    options = {"HttpTokens": "optional" if bad else "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2}
    made = client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, MetadataOptions=options)
    return made["Instances"][0]["InstanceId"]


def metadata_options(client, one):
    return client("ec2").describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["MetadataOptions"]


def tokens_are_optional(client, one):
    options = metadata_options(client, one)
    assert options["HttpPutResponseHopLimit"] == 2 and options["HttpEndpoint"] == "enabled", options
    return options["HttpTokens"] != "required"


def encryption_default(client, bad):
    client("ec2").enable_ebs_encryption_by_default()
    if bad:
        client("ec2").disable_ebs_encryption_by_default()
    return "ebs-defaults"


def default_is_off(client, _):
    return not client("ec2").get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def _volume(client, encrypted):
    return client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=1, Encrypted=encrypted)["VolumeId"]


def volume(client, bad):
    return _volume(client, not bad)


def volume_is_clear(client, one):
    return not client("ec2").describe_volumes(VolumeIds=[one])["Volumes"][0]["Encrypted"]


def snapshot(client, bad):
    one = client("ec2").create_snapshot(VolumeId=_volume(client, True))["SnapshotId"]
    whom = {"GroupNames": ["all"]} if bad else {"UserIds": ["222222222222"]}
    client("ec2").modify_snapshot_attribute(
        SnapshotId=one, Attribute="createVolumePermission", OperationType="add", **whom
    )
    return one


def snapshot_is_public(client, one):
    found = client("ec2").describe_snapshot_attribute(SnapshotId=one, Attribute="createVolumePermission")
    return {"Group": "all"} in found["CreateVolumePermissions"]


def image(client, bad):
    ec2 = client("ec2")
    machine = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"}
    )
    one = ec2.create_image(InstanceId=machine["Instances"][0]["InstanceId"], Name=f"catalogue-{next(numbers)}")["ImageId"]
    whom = {"Group": "all"} if bad else {"UserId": "222222222222"}
    ec2.modify_image_attribute(ImageId=one, LaunchPermission={"Add": [whom]})
    return one


def image_is_public(client, one):
    return client("ec2").describe_images(ImageIds=[one])["Images"][0]["Public"]


def database(client, bad):
    """RDS stores the name in small letters, and knows it however it is spelt."""
    name = f"Catalogue-{next(numbers)}"
    client("rds").create_db_instance(
        DBInstanceIdentifier=name, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="ann", MasterUserPassword="not-a-secret-1", PubliclyAccessible=bad,
    )  # fmt: skip
    return name.lower()


def database_is_public(client, one):
    return client("rds").describe_db_instances(DBInstanceIdentifier=one)["DBInstances"][0]["PubliclyAccessible"]


def database_snapshot(client, bad):
    name = database(client, False)
    client("rds").create_db_snapshot(DBSnapshotIdentifier=name, DBInstanceIdentifier=name)
    client("rds").modify_db_snapshot_attribute(
        DBSnapshotIdentifier=name.title(), AttributeName="restore", ValuesToAdd=["all" if bad else "222222222222"]
    )
    return name


def snapshot_may_be_restored_by_all(client, one):
    found = client("rds").describe_db_snapshot_attributes(DBSnapshotIdentifier=one)["DBSnapshotAttributesResult"]
    return any("all" in attribute["AttributeValues"] for attribute in found["DBSnapshotAttributes"])


def default_encryption(client, _):
    return client("ec2").get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def snapshot_permissions(client, one):
    found = client("ec2").describe_snapshot_attribute(SnapshotId=one, Attribute="createVolumePermission")
    return found["CreateVolumePermissions"], client("ec2").describe_snapshots(SnapshotIds=[one])["Snapshots"]


def image_permissions(client, one):
    found = client("ec2").describe_image_attribute(ImageId=one, Attribute="launchPermission")
    return found["LaunchPermissions"], client("ec2").describe_images(ImageIds=[one])["Images"]


def database_as_it_is(client, one):
    (found,) = client("rds").describe_db_instances(DBInstanceIdentifier=one)["DBInstances"]
    return {name: value for name, value in found.items() if name != "LatestRestorableTime"}


def database_snapshot_permissions(client, one):
    found = client("rds").describe_db_snapshot_attributes(DBSnapshotIdentifier=one)["DBSnapshotAttributesResult"]
    return found["DBSnapshotAttributes"]
