"""The workflows to start from: `feature`, `bugfix`, and `blank`."""

from importlib.resources import files

from holdfast.errors import ValidationFailed

NAMES: tuple[str, ...] = ("feature", "bugfix", "blank")


def text(name: str) -> str:
    """What stands in the template's file.

    Raises:
        ValidationFailed: there is no template of that name.
    """
    if name not in NAMES:
        raise ValidationFailed(f"there is no template {name!r} (choose one of {', '.join(NAMES)})")
    return files(__name__).joinpath(f"{name}.yaml").read_text("utf-8")


def starter() -> str:
    """The workflow of a project that has none yet."""
    return text("feature")
