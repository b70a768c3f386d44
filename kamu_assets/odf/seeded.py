"""Keys made from a name: how kamu gives well-known accounts the same ID on every node.

The seed is the state of xoshiro256++, whose first output is taken as a public key; nobody has its private key.
"""

from kamu_assets.errors import InvalidError

_SEED_LENGTH = 32
_MASK = (1 << 64) - 1


class SeedTooLongError(InvalidError):
    """A name has more bytes than a seed."""

    def __init__(self, seed: bytes) -> None:
        super().__init__(f"a seed has at most {_SEED_LENGTH} bytes, not {len(seed)}")


def seeded_public_key(seed: bytes) -> bytes:
    """The 32 bytes that stand for a public key of the seed."""
    if len(seed) > _SEED_LENGTH:
        raise SeedTooLongError(seed)
    state = _initial_state(seed.ljust(_SEED_LENGTH, b"\0"))
    return b"".join(_next_output(state).to_bytes(8, "little") for _ in range(4))


def _initial_state(seed: bytes) -> list[int]:
    if not any(seed):
        # An all-zero state never leaves zero; SplitMix64 started at 0 takes its place.
        return [_split_mix(step) for step in range(1, 5)]
    return [int.from_bytes(seed[start : start + 8], "little") for start in range(0, _SEED_LENGTH, 8)]


def _split_mix(step: int) -> int:
    word = step * 0x9E3779B97F4A7C15 & _MASK
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _MASK
    return word ^ word >> 31


def _rotate_left(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK


def _next_output(state: list[int]) -> int:
    output = (_rotate_left(state[0] + state[3] & _MASK, 23) + state[0]) & _MASK
    shifted = state[1] << 17 & _MASK
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = _rotate_left(state[3], 45)
    return output
