"""Where in the past of a dataset. Light: workers know it too."""

from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp

# A block, an offset that was the newest one, or a system time.
Point = Multihash | int | Timestamp
