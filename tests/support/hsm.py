"""A module that holds a private key, in this process: real signatures, and failures on demand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.hashes import SHA256

from keyturn._core.jwk import jwk_of
from keyturn._core.keyset import Algorithm
from keyturn.signers import raw_signature


class Hsm:
    """A module that holds a private key and signs as most do: ECDSA in DER. It counts, and it can fail."""

    def __init__(self, alg: Algorithm = "ES256", kid: str = "hsm-1") -> None:
        self.kid = kid
        self.alg: Algorithm = alg
        self.signed = 0
        self.failure: Exception | None = None
        self.private: Any
        match alg:
            case "ES256":
                self.private = generate_private_key(SECP256R1())
            case "RS256":
                self.private = generate_rsa(65537, 2048)
            case _:
                self.private = Ed25519PrivateKey.generate()

    def public_jwk(self) -> Mapping[str, Any]:
        return {**jwk_of(self.private, private=False), "key_ops": ["verify"], "x5c": ["…"]}

    def sign(self, message: bytes, /) -> bytes:
        self.signed += 1
        if self.failure is not None:
            raise self.failure
        match self.alg:
            case "ES256":
                return raw_signature(self.private.sign(message, ECDSA(SHA256())))
            case "RS256":
                signature: bytes = self.private.sign(message, PKCS1v15(), SHA256())
                return signature
            case _:
                signed: bytes = self.private.sign(message)
                return signed
