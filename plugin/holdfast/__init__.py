"""Durable workflow state for AI coding CLIs.

`from holdfast import Project` is for programs; docs/python.md shows how. Every hook imports this module, so what it
offers is imported when it is asked for.
"""

__version__ = "0.1.0"
__all__ = ["Project"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.project import Project
else:

    def __getattr__(name):  # noqa: ANN001, ANN202  type checkers see the import above
        if name != "Project":
            raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
        from holdfast.project import Project

        return Project
