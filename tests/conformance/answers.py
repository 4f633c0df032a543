"""Answers as AWS writes them: a result or a fault, in the wire form of a service's protocol.

What is written here is read by botocore in the test that uses it, and must come back as it was.
"""

import base64
import email.utils
import json
from xml.sax.saxutils import escape, quoteattr

from values import as_json, is_json_header

REQUEST_ID = "5f2b6f0e-0001-4000-8000-123456789abc"
TIME_TEXT = {
    "iso8601": lambda time: time.strftime("%Y-%m-%dT%H:%M:%S") + (f".{time.microsecond // 1000:03}Z" if time.microsecond else "Z"),
    "rfc822": lambda time: email.utils.format_datetime(time, usegmt=True),
    "unixtimestamp": lambda time: repr(as_json(time)),
}


def time_text(shape, time, otherwise):
    return TIME_TEXT[shape.serialization.get("timestampFormat", otherwise).lower()](time)


def scalar_text(shape, value, time_format):
    kind = shape.type_name
    if kind == "timestamp":
        return time_text(shape, value, time_format)
    if kind == "blob":
        return base64.b64encode(value).decode()
    if kind == "boolean":
        return "true" if value else "false"
    return str(value)


def wire(shape, otherwise):
    return shape.serialization.get("name", otherwise)


# ---- JSON -------------------------------------------------------------------------------------------------------


def json_of(shape, value):
    kind = shape.type_name
    if kind == "structure" and not shape.is_document_type:
        return {wire(shape.members[name], name): json_of(shape.members[name], inner) for name, inner in value.items()}
    if kind == "list":
        return [json_of(shape.member, inner) for inner in value]
    if kind == "map":
        return {key: json_of(shape.value, inner) for key, inner in value.items()}
    if kind == "timestamp" and shape.serialization.get("timestampFormat", "unixtimestamp").lower() == "unixtimestamp":
        return as_json(value)
    if kind in ("timestamp", "blob"):
        return scalar_text(shape, value, "unixtimestamp")
    return value


# ---- XML --------------------------------------------------------------------------------------------------------


def xml_members(shape, value):
    """(attributes, elements) of a structure."""
    attributes = elements = ""
    for name, inner in value.items():
        member = shape.members[name]
        if member.serialization.get("xmlAttribute"):
            attributes += f" {wire(member, name)}={quoteattr(str(inner))}"
        else:
            elements += xml_of(member, inner, wire(member, name))
    return attributes, elements


def xml_of(shape, value, name):
    kind, flattened = shape.type_name, shape.serialization.get("flattened")
    if kind == "structure":
        space, prefix = shape.serialization.get("xmlNamespace"), ""
        if isinstance(space, dict):
            prefix = f" xmlns{':' + space['prefix'] if 'prefix' in space else ''}={quoteattr(space['uri'])}"
        attributes, elements = xml_members(shape, value)
        return f"<{name}{prefix}{attributes}>{elements}</{name}>"
    if kind == "list":
        element = wire(shape.member, name if flattened else "member")
        inside = "".join(xml_of(shape.member, inner, element) for inner in value)
        return inside if flattened else f"<{name}>{inside}</{name}>"
    if kind == "map":
        entry = name if flattened else "entry"
        inside = "".join(
            f"<{entry}>{xml_of(shape.key, key, wire(shape.key, 'key'))}{xml_of(shape.value, inner, wire(shape.value, 'value'))}</{entry}>"
            for key, inner in value.items()
        )
        return inside if flattened else f"<{name}>{inside}</{name}>"
    return f"<{name}>{escape(scalar_text(shape, value, 'iso8601'))}</{name}>"


# ---- results ----------------------------------------------------------------------------------------------------


def header_text(shape, value):
    if is_json_header(shape):
        return base64.b64encode(json.dumps(value).encode()).decode()
    if shape.type_name == "list":
        return ", ".join(header_text(shape.member, inner) for inner in value)
    return scalar_text(shape, value, "rfc822")


def take_headers(shape, value):
    """Members that travel in the headers, or as the status, out of `value`."""
    headers, status = {}, 200
    for name in list(value):
        member = shape.members[name]
        location = member.serialization.get("location")
        if location == "headers":
            headers.update({wire(member, "") + key: inner for key, inner in value.pop(name).items()})
        elif location == "header":
            headers[wire(member, name)] = header_text(member, value.pop(name))
        elif location == "statusCode":
            status = value.pop(name)
    return headers, status


def rest_body(protocol, shape, value):
    payload = shape.serialization.get("payload")
    if payload:
        inner, shape = value.get(payload), shape.members[payload]
        if inner is None or isinstance(inner, (bytes, str)):
            return inner.encode() if isinstance(inner, str) else inner or b""
        value, name = inner, wire(shape, payload)
    else:
        name = shape.name
    if protocol == "rest-json":
        return json.dumps(json_of(shape, value)).encode()
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + xml_of(shape, value, name)).encode()


def result(service, protocol, operation, value):
    """The answer that says `value`: {status_code, headers, body as bytes}."""
    shape, name = operation.output_shape, operation.name
    if (service, name) == ("s3", "GetBucketLocation"):  # the model says otherwise
        text = f"<LocationConstraint xmlns='http://s3/'>{escape(value.get('LocationConstraint', ''))}</LocationConstraint>"
        return {"status_code": 200, "headers": {}, "body": text.encode()}
    if protocol in ("rest-json", "rest-xml"):
        headers, status = take_headers(shape, dict(value)) if shape else ({}, 200)
        left = {key: inner for key, inner in value.items() if not shape.members[key].serialization.get("location")} if shape else {}
        body = rest_body(protocol, shape, left) if shape else b""
        if "Content-Length" in headers:  # a member of some results: botocore counts
            headers["Content-Length"] = str(len(body))
        return {"status_code": status, "headers": {"x-amzn-RequestId": REQUEST_ID, **headers}, "body": body}
    if protocol == "json":
        body = json.dumps(json_of(shape, value)).encode() if shape else b""
        return {"status_code": 200, "headers": {"x-amzn-RequestId": REQUEST_ID}, "body": body}
    inside = xml_members(shape, value)[1] if shape else ""
    wrapper = shape.serialization.get("resultWrapper") if shape else None
    if wrapper:
        inside = f"<{wrapper}>{inside}</{wrapper}>"
    tail = f"<ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
    if protocol == "ec2":
        tail = f"<requestId>{REQUEST_ID}</requestId>"
    text = f'<{name}Response xmlns="http://amazonaws.com/doc/">{inside}{tail}</{name}Response>'
    return {"status_code": 200, "headers": {"Content-Type": "text/xml"}, "body": text.encode()}


# ---- faults -----------------------------------------------------------------------------------------------------


def fault(service, protocol, code, message, status, random):
    """The answer that says that the call failed."""
    headers, said = {"x-amzn-RequestId": REQUEST_ID}, {"message": message}
    if protocol in ("json", "rest-json"):
        said = {random.choice(("message", "Message")): message} if protocol == "json" else said
        if protocol == "rest-json" and random.random() < 0.7:
            headers["x-amzn-ErrorType"] = code + random.choice(("", ":http://internal.amazon.com/coral/"))
        else:
            said["code" if protocol == "rest-json" else "__type"] = random.choice(("", "com.amazonaws.v2#" if protocol == "json" else "")) + code
        return {"status_code": status, "headers": headers, "body": json.dumps(said).encode()}
    inside = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    ended = f"<RequestId>{REQUEST_ID}</RequestId>"
    text = {
        "query": f"<ErrorResponse xmlns='http://x/'><Error><Type>Sender</Type>{inside}</Error>{ended}</ErrorResponse>",
        "ec2": f"<Response><Errors><Error>{inside}</Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>",
        "rest-xml": f"<ErrorResponse><Error>{inside}</Error>{ended}</ErrorResponse>",
    }[protocol]
    if service == "s3":
        headers, text = {"x-amz-request-id": REQUEST_ID}, f"<Error>{inside}{ended}</Error>"
    return {"status_code": status, "headers": {} if protocol != "rest-xml" else headers, "body": ('<?xml version="1.0"?>\n' + text).encode()}
