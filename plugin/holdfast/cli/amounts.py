"""Seconds, days and counts on the command line: none negative, endless, or `nan`, which passes every comparison."""

from typing import Any

import click

from holdfast.limits import MOST


class Amount(click.FloatRange):
    """A number of seconds or days from 0 on; above is for those that must be more than 0."""

    def __init__(self, *, above: bool = False) -> None:
        super().__init__(0, MOST, min_open=above)

    def convert(self, value: Any, param: "click.Parameter | None", ctx: "click.Context | None") -> float:
        """The number.

        Raises:
            click.BadParameter: it is none, or out of range.
        """
        found = float(super().convert(value, param, ctx))
        if found != found:  # noqa: PLR0124  as math.isnan asks
            self.fail(f"{value!r} is not a valid float.", param, ctx)
        return found


COUNT = click.IntRange(0, MOST)
