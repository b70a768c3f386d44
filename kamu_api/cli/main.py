"""`kamu-node`: the entry point. Everything heavy is imported by the command that needs it."""

import sys


def main() -> None:
    """Run the command line; the version is answered without loading anything."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from importlib.metadata import version

        print(f"kamu-node {version('kamu-node')}")
        return
    from kamu_api.cli.app import run

    run()


if __name__ == "__main__":
    main()
