"""What flows are about: a dataset, a receiver of webhooks, or the node."""

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Dialect, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from kamu_assets.odf.identity import DatasetID

# What the texts of subscriptions begin with.
WEBHOOK: Final = "webhook:"
_SYSTEM: Final = "system"


@dataclass(frozen=True, slots=True)
class WebhookScope:
    """A subscription."""

    subscription_id: str
    # What it tells of; None: of every dataset.
    dataset_id: DatasetID | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{WEBHOOK}{self.subscription_id}"


@dataclass(frozen=True, slots=True)
class SystemScope:
    """The node as a whole."""

    def __str__(self) -> str:
        return _SYSTEM


SYSTEM: Final = SystemScope()
# A dataset is a scope by itself.
Scope = DatasetID | WebhookScope | SystemScope


def dataset_of(scope: Scope) -> DatasetID | None:
    """The dataset that a scope is, or is about."""
    match scope:
        case DatasetID():
            return scope
        case WebhookScope():
            return scope.dataset_id
        case SystemScope():
            return None


def parse_scope(text: str) -> Scope:
    """A scope by its text; one of a webhook without its dataset."""
    if text == _SYSTEM:
        return SYSTEM
    if text.startswith(WEBHOOK):
        return WebhookScope(text.removeprefix(WEBHOOK))
    return DatasetID.parse(text)


class ScopeColumn(TypeDecorator[Scope]):
    """The text of a scope: that of a dataset is its `did:odf:…`, as in columns of datasets."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True

    def process_bind_param(self, value: Scope | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """To the database."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Scope | None:  # noqa: ARG002 - SQLAlchemy's
        """From the database."""
        return None if value is None else parse_scope(value)
