"""What Dagster need not tell an operator."""

import warnings

from dagster import BetaWarning, PreviewWarning


def without_previews() -> None:
    """No warnings that parts of Dagster which we use may still change: our tests hold them to what we need."""
    for category in (BetaWarning, PreviewWarning):
        warnings.filterwarnings("ignore", category=category)
