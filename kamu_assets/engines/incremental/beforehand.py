"""What can be told of a transform by its text alone, before any of its inputs has columns."""

from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.rewrite import rewrite
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.odf.engine import TransformSql, normalize_transform


def check_beforehand(transform: TransformSql) -> None:
    """Raise for what no run could compute; that nothing is raised promises nothing."""
    try:
        for step in normalize_transform(transform).queries or ():
            rewrite(step.query)
    except UnsupportedConstructError as error:
        raise InvalidQueryError(f"engine {transform.engine!r}: {error}") from error
