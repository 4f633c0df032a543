"""The CloudTrail tap: a proxy in front of moto that identifies, judges, records and tells of every call.

server.py      accepts calls, runs the steps below in order, forwards to moto; the control API
operations.py  which operation of which service a request is, and its parameters (botocore's models)
identity.py    access keys and role sessions; answers STS
policy.py      inline session policies
faults.py      rules that delay, refuse, cut or garble
stale.py       reads that show the state of some seconds ago
errors.py      errors in the shape of each protocol
cloudtrail.py  the record AWS would write, in EventBridge's envelope
queues.py      SQS
"""
