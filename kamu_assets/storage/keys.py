"""Which texts may name an object: the same in every store, so that data can move between them."""

from kamu_assets.storage.errors import InvalidKeyError

MAX_KEY_BYTES = 1024
MAX_PART_BYTES = 200


def check_key(key: str) -> None:
    """Raise InvalidKeyError unless the key is safe as a path and as an S3 key."""
    if not key:
        raise InvalidKeyError(key, "it is empty")
    _check_characters(key)
    for part in key.split("/"):
        _check_part(key, part)


def check_prefix(prefix: str) -> None:
    """Raise InvalidKeyError unless some key could start with `prefix`."""
    _check_characters(prefix)
    *parts, _ = prefix.split("/")
    for part in parts:
        _check_part(prefix, part)


def _check_characters(key: str) -> None:
    # Backslashes are separators elsewhere; control characters are nobody's intention.
    if "\\" in key or not key.isprintable():
        raise InvalidKeyError(key, "it holds a backslash or a character that cannot be printed")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKeyError(key, f"it has more than {MAX_KEY_BYTES} bytes")


def _check_part(key: str, part: str) -> None:
    if not part:
        raise InvalidKeyError(key, "one of its parts is empty")
    if part.startswith("."):
        raise InvalidKeyError(key, "one of its parts starts with a dot")
    if len(part.encode()) > MAX_PART_BYTES:
        raise InvalidKeyError(key, f"one of its parts has more than {MAX_PART_BYTES} bytes")
