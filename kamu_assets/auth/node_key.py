"""The key of a node, with which it signs what it answers (Ed25519): made once, or brought along."""

import secrets
from functools import cached_property
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kamu_assets.auth.errors import DamagedKeyError, InvalidPrivateKeyError
from kamu_assets.auth.token_file import private_folder, write_private
from kamu_assets.errors import InvalidError
from kamu_assets.odf import multibase
from kamu_assets.odf.commitments import Commitment, Proof, sign

log = structlog.get_logger(__name__)

NODE_KEY_FILE: Final = "node.key"
_LENGTH: Final = 32


def parse_private_key(text: str) -> bytes:
    """The bytes of a key in multibase; InvalidPrivateKeyError."""
    try:
        key = multibase.decode(text.strip())
    except InvalidError:
        # What it says quotes the text.
        raise InvalidPrivateKeyError from None
    if len(key) != _LENGTH:
        raise InvalidPrivateKeyError
    return key


class NodeKey:
    """Signs in the name of the node; the key itself is told to nobody."""

    def __init__(self, keys: Path, *, given: str | None) -> None:
        self._keys = keys
        self._given = given

    @property
    def file(self) -> Path:
        """Where the key is kept, unless the settings bring one."""
        return self._keys / NODE_KEY_FILE

    def ensure(self) -> bool:
        """Make a key on the first start; harmless later, and when two processes start at once. Tells whether it did."""
        if self._given is not None:
            return False
        with private_folder(self._keys):
            is_missing = not self.file.exists()
            if is_missing:
                write_private(self.file, multibase.encode_base16(secrets.token_bytes(_LENGTH)))
                log.info("node_key_created", file=str(self.file))
        _ = self._key
        return is_missing

    def sign(self, commitment: Commitment) -> Proof:
        """The node's word for a commitment."""
        return sign(commitment, self._key)

    def derived(self, purpose: str) -> bytes:
        """A key of its own for what else the node keeps secret (HKDF, RFC 5869)."""
        return HKDF(algorithm=SHA256(), length=_LENGTH, salt=None, info=purpose.encode()).derive(self._key)

    @cached_property
    def _key(self) -> bytes:
        if self._given is not None:
            return parse_private_key(self._given)
        try:
            return parse_private_key(self.file.read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError, InvalidPrivateKeyError) as error:
            raise DamagedKeyError(self.file) from error
