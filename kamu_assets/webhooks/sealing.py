"""Secrets of receivers as the database has them: encrypted under a key that it does not have (AES-256-GCM)."""

import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from kamu_assets.webhooks.errors import UnreadableSecretError
from kamu_assets.webhooks.model import Subscription

# What sealed ones begin with.
_MARK = "aes256gcm:"
_NONCE_BYTES = 12


class Seal:
    """Each secret is bound to its subscription: put into the row of another one, it cannot be read."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def closed(self, secret: SecretStr, subscription: str) -> SecretStr:
        """As it is stored."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.get_secret_value().encode(), subscription.encode())
        return SecretStr(_MARK + b64encode(nonce + sealed).decode())

    def opened(self, subscription: Subscription) -> SecretStr:
        """The secret itself; UnreadableSecretError."""
        if not is_closed(subscription.secret):
            return subscription.secret
        try:
            sealed = b64decode(subscription.secret.get_secret_value().removeprefix(_MARK))
            nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return SecretStr(self._cipher.decrypt(nonce, text, subscription.id.encode()).decode())
        except (InvalidTag, ValueError):
            raise UnreadableSecretError from None

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._key())


def is_closed(secret: SecretStr) -> bool:
    """Whether it is stored as it should be: nodes kept it as it is once."""
    return secret.get_secret_value().startswith(_MARK)
