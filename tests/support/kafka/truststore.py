"""Makes a Java trust store of the system's certificate bundle: truststore.py BUNDLE.crt STORE.p12

Java keeps its own list of authorities.  Where the system trusts one more (a proxy's, say), Maven would not."""

import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

PASSWORD = b"changeit"  # it protects nothing: the certificates are public


def main():
    bundle, store = sys.argv[1:]
    with open(bundle, "rb") as file:
        certificates = x509.load_pem_x509_certificates(file.read())
    named = [pkcs12.PKCS12Certificate(one, str(number).encode()) for number, one in enumerate(certificates)]
    with open(store, "wb") as file:
        file.write(pkcs12.serialize_java_truststore(named, BestAvailableEncryption(PASSWORD)))


if __name__ == "__main__":
    main()
