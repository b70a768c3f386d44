"""Makes the home ready for Dagster's processes and ends: `python -m kamu_assets.definitions.prepare`."""

from kamu_assets.orchestration.instance import prepare
from kamu_assets.settings import adapter_config, load_settings

if __name__ == "__main__":
    prepare(adapter_config(load_settings()))
