"""AWS Signature Version 4, the server's side: is a request signed with the secret of its key?"""

import functools
import hashlib
import hmac
import re
import urllib.parse

from .errors import Refusal

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,"
    r"\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]*)"
)


class Scope:
    """What an Authorization header says."""

    def __init__(self, key, date, region, service, headers, signature):
        self.key, self.date, self.region, self.service = key, date, region, service
        self.headers, self.signature = headers.split(";"), signature


def scope_of(authorization):
    """The Scope, or None for a request that is not signed."""
    match = _AUTHORIZATION.match(authorization or "")
    return Scope(*match.groups()) if match else None


@functools.lru_cache(maxsize=4096)
def _signing_key(secret, date, region, service):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def _canonical_query(query):
    pairs = [part.partition("=") for part in query.split("&") if part]
    unquoted = [(urllib.parse.unquote_plus(k), urllib.parse.unquote_plus(v)) for k, _, v in pairs]
    return "&".join(f"{k}={v}" for k, v in sorted((_quote(k), _quote(v)) for k, v in unquoted))


def _canonical_path(service, path):
    if service == "s3":
        return path or "/"
    return urllib.parse.quote(path, safe="/-_.~") or "/"


def verify(scope, principal, request):
    """Raises Refusal where the signature, the body's hash or the session token is not right."""
    headers = request.headers
    if (principal.token or None) != headers.get("x-amz-security-token"):
        raise Refusal("unknown-key")
    body_hash = hashlib.sha256(request.body).hexdigest()
    said = headers.get("x-amz-content-sha256")
    if said and re.fullmatch(r"[0-9a-f]{64}", said) and said != body_hash:
        raise Refusal("bad-signature", "The provided 'x-amz-content-sha256' header does not match what was computed.")
    canonical = "\n".join(
        [
            request.method,
            _canonical_path(scope.service, request.raw_path),
            _canonical_query(request.query),
            *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in scope.headers),
            "",
            ";".join(scope.headers),
            said or body_hash,
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            headers.get("x-amz-date", ""),
            f"{scope.date}/{scope.region}/{scope.service}/aws4_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = _signing_key(principal.secret, scope.date, scope.region, scope.service)
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), scope.signature):
        raise Refusal("bad-signature")
    if "host" not in scope.headers:
        raise Refusal("bad-signature", "The header host is not signed.")
