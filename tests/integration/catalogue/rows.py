"""Every guardrail of the catalogue with what it is shown on, and what a site says for its own."""

from . import GLOBAL, Row
from .account import (
    BASELINE, account_created, account_enrolled, account_joined, account_updated, baseline_is_not_there, bent_iam,
    iam_of, role_is_prods_alone,
)  # fmt: skip
from .ec2 import (
    database, database_as_it_is, database_is_public, database_port, database_snapshot, database_snapshot_permissions,
    default_encryption, default_is_off, described_rule, encryption_default, every_port_is_open, everything_inside,
    everything_is_open, exposed_instance, from_a_prefix_list, from_everywhere, halves_are_open, image,
    image_is_public, image_permissions, ingress, instance, metadata_options, modified_desktop, modified_inside, modified_rule,
    names_the_instance, prefix_list, prefix_list_that_grew, remote_desktop, says_not_attached, snapshot,
    snapshot_is_public, snapshot_may_be_restored_by_all, snapshot_permissions, tokens_are_optional, two_halves_inside,
    volume, volume_is_clear,
)  # fmt: skip
from .iam import (
    access_key, boundary_deleted, boundary_widened, console_user, denial_deleted, device_taken_away, has_power,
    key_is_active, keys_of, nothing_asks_for_a_second_factor, password_changed, policy_attached, policy_put,
    powerful_instance, powerful_shared_role, profile_associated, role_joins_the_profile, role_of_instance,
    second_factor_no_longer_asked_for, second_factor_not_asked_for, signed_in, user_policies, version_chosen,
    version_made,
)  # fmt: skip
from .monitoring import (
    alarms_of, alarms_switched_off, config_deleted, deleted_detector, detectors_of, filter_deleted, guardduty_is_off,
    last_trail, no_trail_is_left, nobody_would_hear, nothing_is_recorded, recorder_of, recorder_stopped,
    suspended_detector, trail, trail_leaves_something_out, trail_logs, trail_of_writes, trail_stands_still,
    trail_state, trail_without_validation, trails_of,
)  # fmt: skip
from .networks import (
    across, asked_by_stranger, endpoint_service, gateway_attached, let_in, peering_accepted, peering_asked_for,
    peering_joined, route_made, route_replaced, stranger_is_a_peer, stranger_is_attached, stranger_waits,
    strangers_are_let_in, strangers_reach_across,
)  # fmt: skip
from .policies import (
    account_block, account_flags, account_lets_the_public_in, bucket, bucket_acl, bucket_acl_is_open, bucket_policy,
    bucket_policy_is_open, key, key_is_open, key_policy, no_account_block, queue, queue_is_open, queue_made_open,
    queue_policy, topic, topic_is_open, topic_policy,
)  # fmt: skip

ROWS = [
    Row("sensitive-ports-open-to-internet", remote_desktop, from_everywhere(3389), look=ingress, told=says_not_attached),
    Row("sensitive-ports-open-to-internet", database_port, from_everywhere(5432), look=ingress),
    Row("sensitive-ports-open-to-internet", exposed_instance, from_everywhere(3306), look=ingress, told=names_the_instance),
    Row("sensitive-ports-open-to-internet", modified_desktop, from_everywhere(3389), only="event"),
    Row("sensitive-ports-open-to-internet", prefix_list, from_a_prefix_list, look=ingress),
    Row("sensitive-ports-open-to-internet", prefix_list_that_grew, from_a_prefix_list, look=ingress),
    Row("ssh-open-to-internet", described_rule, from_everywhere(22), look=ingress),
    Row("ssh-open-to-internet", modified_rule, from_everywhere(22), only="event"),
    Row("all-ports-open-inside", everything_inside, everything_is_open, look=ingress),
    Row("all-ports-open-inside", two_halves_inside, halves_are_open, look=ingress),
    Row("all-ports-open-inside", modified_inside, every_port_is_open, only="event"),
    Row("instance-metadata-v1", instance, tokens_are_optional, look=metadata_options),
    Row("ebs-encryption-by-default", encryption_default, default_is_off, look=default_encryption),
    Row("volume-unencrypted", volume, volume_is_clear, fixes=False),
    Row("snapshot-public", snapshot, snapshot_is_public, look=snapshot_permissions),
    Row("image-public", image, image_is_public, look=image_permissions),
    Row("database-public", database, database_is_public, look=database_as_it_is),
    Row("database-snapshot-public", database_snapshot, snapshot_may_be_restored_by_all, look=database_snapshot_permissions),
    Row("access-key-unused", access_key, key_is_active, GLOBAL, old=True, look=keys_of),
    Row("console-user-without-mfa", console_user, nothing_asks_for_a_second_factor, GLOBAL, look=user_policies),
    Row("console-user-without-mfa", second_factor_no_longer_asked_for, nothing_asks_for_a_second_factor, GLOBAL, look=user_policies),
    Row("console-user-without-mfa", second_factor_not_asked_for, nothing_asks_for_a_second_factor, GLOBAL, only="event"),
    Row("console-user-without-mfa", device_taken_away, nothing_asks_for_a_second_factor, GLOBAL, only="event"),
    Row("console-user-without-mfa", password_changed, nothing_asks_for_a_second_factor, GLOBAL, only="event"),
    Row("console-user-without-mfa", signed_in, nothing_asks_for_a_second_factor, GLOBAL, only="event"),
    Row("instance-powerful", powerful_instance, has_power, look=role_of_instance),
    Row("instance-powerful", profile_associated, has_power, only="event"),
    # Events of IAM come in us-east-1, and the instances of that Region are then swept; others wait for their own sweep.
    Row("instance-powerful", policy_attached, has_power, GLOBAL, only="event"),
    Row("instance-powerful", policy_put, has_power, GLOBAL, only="event"),
    Row("instance-powerful", version_made, has_power, GLOBAL, only="event"),
    Row("instance-powerful", version_chosen, has_power, GLOBAL, only="event"),
    Row("instance-powerful", denial_deleted, has_power, GLOBAL, only="event"),
    Row("instance-powerful", boundary_deleted, has_power, GLOBAL, only="event"),
    Row("instance-powerful", boundary_widened, has_power, GLOBAL, only="event"),
    Row("instance-powerful", role_joins_the_profile, has_power, GLOBAL, only="event"),
    Row("instance-powerful", powerful_shared_role, has_power, fixes=False),
    Row("iam-baseline", bent_iam, baseline_is_not_there, GLOBAL, look=iam_of, told=role_is_prods_alone, dev="fixed"),
    Row("iam-baseline", account_created, baseline_is_not_there, GLOBAL, look=iam_of, told=role_is_prods_alone, dev="fixed"),
    Row("iam-baseline", account_enrolled, baseline_is_not_there, GLOBAL, only="event", dev="fixed"),
    Row("iam-baseline", account_updated, baseline_is_not_there, GLOBAL, only="event", dev="fixed"),
    Row("iam-baseline", account_joined, baseline_is_not_there, GLOBAL, only="event", dev="fixed"),
    Row("peering-reaches-across", peering_accepted, strangers_reach_across, look=across),
    Row("peering-reaches-across", route_made, strangers_reach_across, look=across),
    Row("peering-reaches-across", route_replaced, strangers_reach_across, only="event"),
    Row("peering-with-strangers", peering_joined, stranger_is_a_peer, fixes=False),
    Row("peering-with-strangers", peering_asked_for, stranger_is_a_peer, fixes=False, only="event"),
    # The request is made in the other account: no event of it reaches ours.  Once rejected, only they can ask again.
    Row("peering-requested-by-stranger", asked_by_stranger, stranger_waits, only="sweep",
        final="names no undo for ec2.RejectVpcPeeringConnection"),
    # moto has no AcceptTransitGatewayVpcAttachment, and shows the network of an attachment as the gateway's own.
    Row("transit-gateway-with-strangers", gateway_attached, stranger_is_attached, fixes=False),
    Row("endpoint-service-for-strangers", endpoint_service, strangers_are_let_in, look=let_in),
    Row("bucket-public", bucket_policy, bucket_policy_is_open, look=bucket),
    Row("bucket-public", bucket_acl, bucket_acl_is_open, look=bucket),
    Row("account-public-access", account_block, account_lets_the_public_in, GLOBAL, look=account_flags),
    Row("account-public-access", no_account_block, account_lets_the_public_in, GLOBAL, look=account_flags),
    Row("key-policy-public", key, key_is_open, look=key_policy),
    Row("topic-policy-public", topic, topic_is_open, look=topic_policy),
    Row("queue-policy-public", queue_policy, queue_is_open, look=queue),
    Row("queue-policy-public", queue_made_open, queue_is_open, only="event"),
    Row("trail-stopped", trail, trail_stands_still, look=trail_logs),
    Row("trail-weakened", trail_without_validation, trail_leaves_something_out, look=trail_state),
    Row("trail-weakened", trail_of_writes, trail_leaves_something_out, look=trail_state),
    Row("trail-alarms-missing", alarms_switched_off, nobody_would_hear, look=alarms_of),
    Row("trail-alarms-missing", filter_deleted, nobody_would_hear, look=alarms_of),
    Row("no-trail", last_trail, no_trail_is_left, GLOBAL, look=trails_of),
    Row("config-off", recorder_stopped, nothing_is_recorded, look=recorder_of),
    Row("config-off", config_deleted, nothing_is_recorded, GLOBAL, look=recorder_of),
    Row("guardduty-off", suspended_detector, guardduty_is_off, look=detectors_of),
    Row("guardduty-off", deleted_detector, guardduty_is_off, GLOBAL, look=detectors_of),
]

# What a site says for its own: without it these are left to people (the playbooks' own tests show that).
PARAMS = {
    "iam-baseline": {"environments": {"prod": BASELINE, "dev": {**BASELINE, "roles": []}}},
    "account-public-access": {"environments": {"prod": {"enforce": True}}},
    "no-trail": {"values": {"trail": "catalogue-audit", "bucket": "catalogue-archive"}},
    "config-off": {"values": {"bucket": "config-archive"}},
}
