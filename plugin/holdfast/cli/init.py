"""`holdfast init`: make a project's `.holdfast`, and take over what other tools left."""

import os

import click

from holdfast.cli import takeover
from holdfast.cli.groups import Command
from holdfast.cli.output import note, say
from holdfast.cli.workflow import TEMPLATES
from holdfast.errors import HoldfastError, ValidationFailed
from holdfast.hook import FOLDER, locate
from holdfast.workflow.index import SOURCE


@click.command(cls=Command)
@click.option(
    "--template", type=click.Choice(TEMPLATES), default="feature", show_default=True, help="What to begin with."
)
@click.option("--no-import", is_flag=True, help="Leave other tools' states alone.")
def init(template: str, no_import: bool) -> None:
    """Make .holdfast/ with a workflow to start from, and take over other tools' states.

    It goes into the .holdfast folder here or above; where there is none, one is made here. A workflow that is there
    stays. No hook is registered: `holdfast install` does that.

    States are looked for in the project and in the home: claude-dev-pipeline (.claude/.workflow-state.json and
    .signals/), palingenesis, gsd-multi (.planning/), hydraflow (.hydraflow/), HarnessSync and cc2all. See
    `holdfast state import --help`. One that cannot be read is named on stderr and left alone.

    Examples:
      holdfast init
      holdfast init --template bugfix
    """
    from holdfast.install import files
    from holdfast.install.installer import GITIGNORE
    from holdfast.project import Project
    from holdfast.state import legacy
    from holdfast.workflow import templates

    folder = locate("", os.getcwd()) or os.path.join(os.getcwd(), FOLDER)
    files.make_folder(folder, 0o700)
    wanted = {".gitignore": GITIGNORE, SOURCE: templates.text(template)}
    missing = [name for name in wanted if not os.path.lexists(os.path.join(folder, name))]
    for name in missing:
        files.replace(os.path.join(folder, name), wanted[name].encode())
    say(f"{folder}: " + (f"made {', '.join(missing)}" if missing else "is there"))
    project = Project(folder)
    for importer, path in [] if no_import else legacy.find(project.root):
        try:
            original = importer.read(path)
        except HoldfastError as error:
            note(f"holdfast: {error}; it was left alone")
            continue
        takeover.take(project, importer, original)
    if project.index.header["error"]:
        raise ValidationFailed(project.index.header["error"])
