"""Errors in the shape of each protocol, and the way back from a shaped error to its code."""

import json
import re
from xml.sax.saxutils import escape

# What a fault or refusal is called in each protocol: (code, status).
KINDS = {
    "throttle": {
        "ec2": ("RequestLimitExceeded", 503),
        "query": ("Throttling", 400),
        "json": ("ThrottlingException", 400),
        "rest-json": ("ThrottlingException", 429),
        "rest-xml": ("Throttling", 400),
        "s3": ("SlowDown", 503),
    },
    "deny": {
        "ec2": ("UnauthorizedOperation", 403),
        "query": ("AccessDenied", 403),
        "json": ("AccessDeniedException", 400),
        "rest-json": ("AccessDeniedException", 403),
        "rest-xml": ("AccessDenied", 403),
        "s3": ("AccessDenied", 403),
    },
    "unavailable": {
        "ec2": ("Unavailable", 503),
        "query": ("ServiceUnavailable", 503),
        "json": ("ServiceUnavailableException", 503),
        "rest-json": ("ServiceUnavailableException", 503),
        "rest-xml": ("ServiceUnavailable", 503),
        "s3": ("ServiceUnavailable", 503),
    },
    "internal": {
        "ec2": ("InternalError", 500),
        "query": ("InternalFailure", 500),
        "json": ("InternalFailure", 500),
        "rest-json": ("InternalFailure", 500),
        "rest-xml": ("InternalFailure", 500),
        "s3": ("InternalError", 500),
    },
    "unknown-operation": {
        "ec2": ("InvalidAction", 400),
        "query": ("InvalidAction", 400),
        "json": ("UnknownOperationException", 400),
        "rest-json": ("UnknownOperationException", 404),
        "rest-xml": ("UnknownOperationException", 404),
        "s3": ("NotImplemented", 501),
    },
    "unknown-key": {
        "ec2": ("AuthFailure", 401),
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest-json": ("UnrecognizedClientException", 403),
        "rest-xml": ("InvalidClientTokenId", 403),
        "s3": ("InvalidAccessKeyId", 403),
    },
    "bad-signature": {
        "ec2": ("AuthFailure", 401),
        "query": ("SignatureDoesNotMatch", 403),
        "json": ("InvalidSignatureException", 400),
        "rest-json": ("InvalidSignatureException", 403),
        "rest-xml": ("SignatureDoesNotMatch", 403),
        "s3": ("SignatureDoesNotMatch", 403),
    },
    "expired": {
        "ec2": ("RequestExpired", 400),
        "query": ("ExpiredToken", 403),
        "json": ("ExpiredTokenException", 400),
        "rest-json": ("ExpiredTokenException", 403),
        "rest-xml": ("ExpiredToken", 403),
        "s3": ("ExpiredToken", 400),
    },
}
MESSAGES = {
    "throttle": "Rate exceeded",
    "deny": "You are not authorized to perform this operation.",
    "unavailable": "The service is unavailable. Please try again shortly.",
    "internal": "An internal error has occurred",
    "unknown-operation": "The action is not valid for this web service.",
    "unknown-key": "The security token included in the request is invalid.",
    "bad-signature": "The request signature we calculated does not match the signature you provided.",
    "expired": "The security token included in the request is expired",
}


class Refusal(Exception):
    """An answer that is an error, made here instead of by moto."""

    def __init__(self, kind=None, message=None, code=None, status=400):
        super().__init__(message or kind or code)
        self.kind, self.code, self.status = kind, code, status
        self.message = message or MESSAGES.get(kind, "")

    def for_protocol(self, service, protocol):
        """(code, status)"""
        if self.code:
            return self.code, self.status
        return KINDS[self.kind]["s3" if service == "s3" else protocol]


def shape(service, protocol, code, message, status, request_id):
    """(status, headers, body)"""
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if protocol == "ec2":
        error = f"<Errors><Error>{error}</Error></Errors>"
        body = f"<Response>{error}<RequestID>{request_id}</RequestID></Response>"
    elif service == "s3":
        body = f"<Error>{error}<RequestId>{request_id}</RequestId><HostId>tap</HostId></Error>"
    elif protocol in ("query", "rest-xml"):
        error = f"<Error><Type>{'Receiver' if status >= 500 else 'Sender'}</Type>{error}</Error>"
        body = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
    else:
        kind = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.0"
        body = json.dumps({"__type": code, "message": message})
        return status, {"Content-Type": kind, "x-amzn-ErrorType": code}, body.encode()
    return status, {"Content-Type": "text/xml"}, ('<?xml version="1.0" encoding="UTF-8"?>\n' + body).encode()


_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>", re.S)


def read(status, headers, body):
    """(code, message) of an error answer; (None, None) of a success."""
    if status < 400:
        return None, None
    code, message = _CODE.search(body), _MESSAGE.search(body)
    if code:
        return _text(code), _text(message) if message else ""
    kind = headers.get("x-amzn-errortype", "")
    try:
        parsed = json.loads(body)
        kind = kind or parsed.get("__type") or parsed.get("code") or ""
        text = parsed.get("message") or parsed.get("Message") or ""
    except (ValueError, AttributeError):
        text = body[:200].decode("utf-8", "replace")
    return kind.rpartition("#")[2].partition(":")[0] or f"HTTP{status}", text


def _text(match):
    from xml.sax.saxutils import unescape

    return unescape(match.group(1).decode("utf-8", "replace"), {"&quot;": '"', "&#x27;": "'", "&apos;": "'"})
