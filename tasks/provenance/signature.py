"""Signing with a key in a file, and who signed: DSSE envelopes, in the one spelling that we write ourselves.

    openssl genpkey -algorithm ed25519 -out signing.pem

>>> envelope = signed(b"...", private_key(Path("signing.pem")))
>>> opened(envelope, public_key(Path("signing.pub.pem")))  # b"..."
"""

import json
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

_PAYLOAD = "application/vnd.in-toto+json"
_PRIVATE = "`openssl genpkey -algorithm ed25519 -out FILE` makes one"
_PUBLIC = "`openssl pkey -in PRIVATE -pubout -out PUBLIC` writes it"


def private_key(path: Path) -> PrivateKeyTypes:
    """Read a key to sign with: PEM, without a passphrase; Ed25519, RSA or one of NIST's curves.

    Raises FileNotFoundError or ValueError, with nothing of what the file holds.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no key {path}: {_PRIVATE}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
        CryptoSigner(key)  # refuses a key that signs nothing
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{path} is no private key to sign with, or it wants a passphrase: {_PRIVATE}") from None
    return key


def public_key(path: Path) -> SSlibKey:
    """Read the key of who should have signed; raises FileNotFoundError or ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no key {path}: {_PUBLIC}")
    try:
        return SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path.name} is no public key: {_PUBLIC}") from error


def public_pem(key: PrivateKeyTypes) -> bytes:
    """Spell out the public half of a key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed(payload: bytes, key: PrivateKeyTypes) -> bytes:
    """Put a statement into an envelope, one line, and sign it."""
    envelope = Envelope(payload, _PAYLOAD, {})
    envelope.sign(CryptoSigner(key))
    return _spelled(envelope)


def opened(envelope: bytes, key: SSlibKey) -> bytes:
    """Give what `key` signed; raises ValueError where that is not what the envelope holds, to the byte."""
    try:
        found = Envelope.from_dict(json.loads(envelope))
        found.verify([key], threshold=1)
    except (ValueError, KeyError, TypeError, AttributeError, Error) as error:
        raise ValueError("it was changed, or another key signed it") from error
    signature = found.signatures[key.keyid].signature
    ours = Envelope(found.payload, _PAYLOAD, {key.keyid: Signature(key.keyid, signature)})
    if _spelled(ours) != envelope:  # base64 and JSON can be spelled in many ways, and more be written beside
        raise ValueError("it was changed where the signature does not look")
    return ours.payload


def _spelled(envelope: Envelope) -> bytes:
    return (json.dumps(envelope.to_dict(), sort_keys=True) + "\n").encode()
