"""Scripts that make shells complete commands, options and names of datasets."""

from typing import Annotated, Literal

import typer


def register(app: typer.Typer) -> None:
    app.command()(completions)


def completions(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="whose script", show_default=False)],
) -> None:
    """Print what a shell has to know to complete commands, options and names of datasets.

    bash and zsh: `source <(kamu-node completions bash)`. fish: `kamu-node completions fish | source`.
    """
    from typer._completion_shared import get_completion_script

    print(get_completion_script(prog_name="kamu-node", complete_var="_KAMU_NODE_COMPLETE", shell=shell))
