"""Access tokens: `ka_` and the Crockford base32 of an id, a secret and a checksum, 61 characters."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Self

from kamu_assets.auth.errors import InvalidTokenError

PREFIX = "ka_"
ID_BYTES = 16
SECRET_BYTES = 16
CHECKSUM_BYTES = 4
_BODY = re.compile(r"[0-9A-HJKMNP-TV-Z]{58}")
_RFC_4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD = str.maketrans(_RFC_4648, _CROCKFORD, "=")
_FROM_CROCKFORD = str.maketrans(_CROCKFORD, _RFC_4648)
# Letters people mistake for digits.
_MISREAD = str.maketrans("OIL", "011")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as its holder has it; the database keeps the id and a hash of the secret."""

    id: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A token nobody can guess."""
        return cls(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token; InvalidTokenError."""
        body = text.removeprefix(PREFIX).upper().translate(_MISREAD)
        if not text.startswith(PREFIX) or not _BODY.fullmatch(body):
            raise InvalidTokenError
        data = base64.b32decode(body.translate(_FROM_CROCKFORD) + "=" * 6)
        token = cls(data[:ID_BYTES], data[ID_BYTES:-CHECKSUM_BYTES])
        if token._checksum() != data[-CHECKSUM_BYTES:]:
            raise InvalidTokenError
        return token

    def reveal(self) -> str:
        """The text its holder sends; named so that nobody writes it down by accident."""
        data = self.id + self.secret + self._checksum()
        return PREFIX + base64.b32encode(data).decode().translate(_TO_CROCKFORD)

    @property
    def secret_hash(self) -> str:
        """What may be stored."""
        return hashlib.sha3_256(self.secret).hexdigest()

    def matches(self, secret_hash: str) -> bool:
        """Whether this token's secret was stored so; takes the same time whatever differs."""
        return hmac.compare_digest(self.secret_hash, secret_hash)

    def _checksum(self) -> bytes:
        return binascii.crc32(self.secret).to_bytes(CHECKSUM_BYTES, "big")
