"""What verification has worker processes do. Importing this module loads no engine: a job loads what it needs."""

from kamu_assets.coordinator.verify.slice_questions import SliceAnswer, SliceQuestion, TwoSlices


def look_at_slice(question: SliceQuestion) -> SliceAnswer:
    """Hash and look at every row."""
    from kamu_assets.coordinator.verify.slice_reading import read_slice

    return read_slice(question)


def have_same_rows(slices: TwoSlices) -> bool:
    """Whether both hold the same rows, in whatever order."""
    from kamu_assets.coordinator.verify.same_rows import same_rows

    return same_rows(slices)
