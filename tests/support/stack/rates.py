"""How fast the stack's parts are here: `stack.py rates`.  Prints figures, proves nothing."""

import concurrent.futures
import json
import statistics
import time

from .environment import Stack
from .cloud import permission


def _rate(count, work, threads):
    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(count)))
    return count / (time.perf_counter() - started)


def _latency(work, count=100):
    """Median milliseconds of one call, one after the other."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def sqs_rate(stack, messages=3000):
    """Messages a second through SendMessageBatch, ReceiveMessage and DeleteMessageBatch, all done by boto3."""
    client = stack.hub().client("sqs", stack.regions[0])
    url = client.create_queue(QueueName="rates")["QueueUrl"]
    body = json.dumps({"detail": "x" * 1500})

    def send(n):
        client.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": body} for i in range(10)])

    def drain(_):
        got = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        entries = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(got)]
        client.delete_message_batch(QueueUrl=url, Entries=entries)

    started = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(messages // 10)))
        list(pool.map(drain, range(messages // 10)))
    return messages / (time.perf_counter() - started)


def measure(moto=1):
    with Stack(kafka=None, accounts=4, moto=moto, regions=["eu-west-1"]) as stack:
        account = stack.ids[0]
        group = stack.plant(account, "eu-west-1", [permission()])[0]
        through, direct = stack.stranger(account).client("ec2", "eu-west-1"), stack.direct(account).client(
            "ec2", "eu-west-1"
        )
        wanted = {"Filters": [{"Name": "group-id", "Values": [group]}]}
        groups = {one: stack.plant(one, "eu-west-1")[0] for one in stack.ids}
        clients = [(stack.stranger(one).client("ec2", "eu-west-1"), groups[one]) for one in stack.ids]
        for client, _ in clients:
            client.describe_security_group_rules(**wanted)
        straight = _latency(lambda: direct.describe_security_group_rules(**wanted))
        tapped = _latency(lambda: through.describe_security_group_rules(**wanted))
        print(f"one read straight at moto       {straight:7.2f} ms")
        print(f"one read through the tap        {tapped:7.2f} ms")
        sts = stack.hub().client("sts", "eu-west-1")
        print(f"GetCallerIdentity (tap alone)   {_latency(lambda: sts.get_caller_identity()):7.2f} ms")

        def read(n):
            client, one = clients[n % 4]
            client.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [one]}])

        def open_port(n):
            client, one = clients[n % 4]
            cidr = f"10.{n % 250}.{n // 250}.0/24"
            added = client.authorize_security_group_ingress(GroupId=one, IpPermissions=[permission(cidr=cidr)])
            client.revoke_security_group_ingress(
                GroupId=one, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"] for rule in added["SecurityGroupRules"]]
            )

        print(f"reads through the tap           {_rate(800, read, 8):7.0f} calls/s")
        print(f"authorize + revoke, with events {2 * _rate(200, open_port, 8):7.0f} calls/s")
        print(f"planting past the tap           {_plant_rate(stack):7.0f} groups/s")
        print(f"SQS send+receive+delete         {sqs_rate(stack):7.0f} messages/s")


def _plant_rate(stack, count=200):
    started = time.perf_counter()
    stack.plant_everywhere([permission()], count)
    return count / (time.perf_counter() - started)
