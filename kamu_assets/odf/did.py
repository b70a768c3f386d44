"""Decentralized identifiers: datasets, accounts and keys."""

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from kamu_assets.errors import InvalidError
from kamu_assets.odf import multibase
from kamu_assets.odf.multihash import Multicodec, decode_codec
from kamu_assets.odf.seeded import seeded_public_key
from kamu_assets.odf.typedef import TextValue

DID_ODF = "did:odf:"
DID_KEY = "did:key:"
DID_PKH = "did:pkh:"

KEY_LENGTH = 32
_KEY_CODEC = Multicodec.ED25519_PUB.to_varint()
# CAIP-2 chain and CAIP-10 account.
_PKH = re.compile(r"did:pkh:([-a-z0-9]{3,8}):([-_a-zA-Z0-9]{1,41}):([-.%a-zA-Z0-9]{1,64})", re.ASCII)


class InvalidDidError(InvalidError):
    """The text or bytes are not an identifier of the wanted sort."""


def _check_key(key: bytes) -> None:
    if len(key) != KEY_LENGTH:
        raise InvalidDidError(f"an Ed25519 public key has {KEY_LENGTH} bytes, not {len(key)}")


@dataclass(frozen=True, slots=True, order=True)
class _KeyDid(TextValue):
    """An identifier that is an Ed25519 public key."""

    public_key: bytes

    _prefix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        _check_key(self.public_key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form, whatever the base of its key."""
        if not text.startswith(cls._prefix):
            raise InvalidDidError(f"{text[:100]!r} does not start with {cls._prefix!r}")
        try:
            return cls.from_multibase(text[len(cls._prefix) :])
        except InvalidError as error:
            raise InvalidDidError(f"{text[:100]!r} is not an identifier: {error}") from error

    @classmethod
    def from_multibase(cls, text: str) -> Self:
        """Read what follows the method of the identifier."""
        return cls.from_bytes(multibase.decode(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the key type and the key."""
        codec, key = decode_codec(bytes(data))
        if codec is not Multicodec.ED25519_PUB:
            raise InvalidDidError(f"the key of an identifier is ed25519-pub, not {codec.codec_name}")
        return cls(key)

    @classmethod
    def from_public_key(cls, key: bytes) -> Self:
        """The identifier of an Ed25519 public key."""
        return cls(bytes(key))

    @classmethod
    def seeded(cls, name: bytes) -> Self:
        """The identifier every node gives to the same name."""
        return cls(seeded_public_key(name))

    def to_bytes(self) -> bytes:
        """Key type and key, 34 bytes."""
        return _KEY_CODEC + self.public_key

    @property
    def as_multibase(self) -> str:
        """The text form without its method: `fed01…`."""
        return multibase.encode_base16(self.to_bytes())

    def __str__(self) -> str:
        return f"{self._prefix}{self.as_multibase}"


@dataclass(frozen=True, slots=True, order=True)
class DatasetID(_KeyDid):
    """Permanent identity of a dataset: `did:odf:fed01…`."""

    _prefix: ClassVar[str] = DID_ODF

    __str__ = _KeyDid.__str__


@dataclass(frozen=True, slots=True, order=True)
class DidKey(_KeyDid):
    """A public key as an identifier: `did:key:z6Mk…`."""

    _prefix: ClassVar[str] = DID_KEY

    def __str__(self) -> str:
        return f"{DID_KEY}{multibase.encode_base58btc(self.to_bytes())}"


@dataclass(frozen=True, slots=True, order=True)
class AccountID(TextValue):
    """Permanent identity of an account: a key (`did:odf:fed01…`) or a wallet (`did:pkh:eip155:1:0x…`)."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a `did:odf` or a `did:pkh`."""
        if text.startswith(DID_PKH):
            if not _PKH.fullmatch(text):
                raise InvalidDidError(f"{text[:150]!r} is not did:pkh:<namespace>:<chain>:<address>")
            return cls(text)
        return cls(str(DatasetID.parse(text)))

    @classmethod
    def from_public_key(cls, key: bytes) -> Self:
        """The identifier of an Ed25519 public key."""
        return cls(str(DatasetID(bytes(key))))

    @classmethod
    def seeded(cls, name: bytes) -> Self:
        """The identifier every node gives to the same account name."""
        return cls(str(DatasetID.seeded(name)))

    @property
    def is_wallet(self) -> bool:
        """Whether a blockchain address stands behind it."""
        return self.text.startswith(DID_PKH)

    @property
    def public_key(self) -> bytes | None:
        """The key behind a `did:odf`."""
        return None if self.is_wallet else DatasetID.parse(self.text).public_key

    @property
    def pkh_parts(self) -> tuple[str, str, str] | None:
        """Namespace, chain and address of a `did:pkh`."""
        match = _PKH.fullmatch(self.text)
        return (match[1], match[2], match[3]) if match else None

    @property
    def id_without_did_prefix(self) -> str:
        """The address of a wallet without `0x`, else the key in multibase."""
        parts = self.pkh_parts
        return parts[2].removeprefix("0x") if parts else self.text.removeprefix(DID_ODF)

    def __str__(self) -> str:
        return self.text
