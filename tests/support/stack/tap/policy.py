"""Inline session policies: Allow and Deny, Action and NotAction with wildcards, Resource "*", aws:RequestedRegion.

Stricter than IAM nowhere, laxer where a call's resource is unknown here: a Resource other than "*" is taken to match.
"""

import fnmatch
import functools
import json
import re

# IAM's action for an operation, where it is not "<signing name>:<operation>".
ACTIONS = {
    "s3.ListBuckets": "s3:ListAllMyBuckets",
    "s3.ListObjects": "s3:ListBucket",
    "s3.ListObjectsV2": "s3:ListBucket",
    "s3.HeadBucket": "s3:ListBucket",
    "s3.HeadObject": "s3:GetObject",
    "s3.GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3.PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3.DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3.GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3.PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3.DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3.GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3.PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3.DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "s3.DeleteBucketTagging": "s3:PutBucketTagging",
    "s3control.GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
    "s3control.PutPublicAccessBlock": "s3:PutAccountPublicAccessBlock",
    "s3control.DeletePublicAccessBlock": "s3:PutAccountPublicAccessBlock",
}


# Whose actions begin with another word than the one that is signed for.
PREFIXES = {"monitoring": "cloudwatch"}


def action_of(operation):
    prefix = PREFIXES.get(operation.signing_name, operation.signing_name)
    return ACTIONS.get(operation.full_name) or f"{prefix}:{operation.name}"


def _listed(value):
    return value if isinstance(value, list) else [value]


@functools.cache
def _pattern(text):
    # IAM knows only * and ?; fnmatch's [sets] must stay literal.
    return re.compile(fnmatch.translate(text.replace("[", "[[]")), re.I)


def _any(patterns, value):
    return any(_pattern(pattern).match(value) for pattern in _listed(patterns))


def _conditions_hold(statement, region):
    for test, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            if key.lower() != "aws:requestedregion":
                continue
            hit = _any(values, region) if "Like" in test else region in _listed(values)
            if hit == ("Not" in test):
                return False
    return True


def _applies(statement, action, region):
    if "Action" in statement:
        named = _any(statement["Action"], action)
    else:
        named = not _any(statement.get("NotAction", "*"), action)
    return named and _conditions_hold(statement, region)


@functools.lru_cache(maxsize=4096)
def allows(policy_text, action, region):
    """Does the policy (JSON text, None: no session policy) allow the action?"""
    if policy_text is None:
        return True
    applying = [s for s in _listed(json.loads(policy_text)["Statement"]) if _applies(s, action, region)]
    effects = {statement["Effect"] for statement in applying}
    return "Allow" in effects and "Deny" not in effects


def malformed(policy_text):
    """Why STS would refuse this session policy, or None."""
    if len(policy_text) > 2048:
        return "PackedPolicyTooLarge", f"The session policy has {len(policy_text)} characters; 2048 are allowed"
    try:
        policy = json.loads(policy_text)
        statements = _listed(policy["Statement"])
        sound = all(
            s["Effect"] in ("Allow", "Deny")
            and ("Action" in s) != ("NotAction" in s)
            and ("Resource" in s or "NotResource" in s)
            for s in statements
        )
        if not sound or not statements or policy.get("Version") != "2012-10-17":
            raise ValueError("statement")
    except (ValueError, KeyError, TypeError) as error:
        return "MalformedPolicyDocument", f"This policy contains invalid Json or elements: {error}"
    return None
