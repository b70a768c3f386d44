"""What the verifier says about the first thing that is wrong."""


class FaultError(Exception):
    """One object of the dataset is not what the chain says it is."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason
