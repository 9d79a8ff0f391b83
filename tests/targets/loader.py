"""A target with an empty destination: how to run it and how to read its result back.

What is installed of a target is in meltano.yml; what emulators and readers need besides is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from targets.environments import Environment, environment, pip_url

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from targets.truth import Row

# Prints rows as JSON; `fetch` is what differs.
PRINT_ROWS = """
import json, sys
def as_json(value):
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return int(value) if value == value.to_integral_value() else float(value)  # a Decimal
json.dump(fetch(*sys.argv[1:]), sys.stdout, default=as_json)
"""


class Loader(ABC):
    """One target with one empty destination."""

    name: ClassVar[str]  # as in meltano.yml
    title: ClassVar[str]
    extras: ClassVar[tuple[str, ...]] = ()
    """What its environment needs besides."""
    column_types: ClassVar[Mapping[str, str]] = {}
    """The type of a column for each kind of property, as the target's own software calls it."""
    depth: ClassVar[int] = 0
    """How far it is told to flatten objects."""
    nothing: ClassVar[tuple[object, ...]] = ()
    """What it cannot tell from null in a column of its own."""
    appends: ClassVar[bool] = False
    """Whether an edited call is another row; the newest one counts."""
    stand_in: ClassVar[str] = ""
    """What plays a service that cannot run here, in a sentence."""
    equality: ClassVar[str] = ""
    """What to know of the values in it, in a sentence."""
    method: ClassVar[str] = "appends to a file"
    """How it loads, as meltano.yml has it."""
    refusing: ClassVar[str | None] = None
    """A script that makes a table which refuses one call; none where no row is refused."""
    cannot: ClassVar[Mapping[str, str]] = {}
    """Columns of docs/targets.md whose tests it cannot pass, each with the reason."""
    takes_arrow: ClassVar[bool] = False
    """Whether it takes BATCH messages of Arrow files."""
    python_before: ClassVar[tuple[int, int]] = (4, 0)
    """The first Python that it does not run on."""
    metadata: ClassVar[Mapping[str, Any]] = {"add_record_metadata": True, "hard_delete": True}
    """The settings that add columns about the load, and delete rows for good."""
    has_metadata: ClassVar[bool] = True
    """Whether it can have such columns."""
    script: ClassVar[Path | None] = None
    """What runs the target in place of its command."""
    modules: ClassVar[tuple[str, ...]] = ()
    """What it loads late in a run; loaded once where it is run many times."""
    arguments: ClassVar[tuple[str, ...]] = ()
    """What comes before its options."""

    def __init__(self, folder: Path, server: Any) -> None:
        """Take an empty folder, and what `serving` yielded."""
        self.folder = folder
        self.server = server
        self.run_script: Callable[..., str] = self._run_script
        """Runs a script in the target's environment, and returns what it printed."""

    @classmethod
    @contextmanager
    def serving(cls) -> Generator[Any, None, None]:
        """Run what the target writes to, where that is no file."""
        yield None

    @classmethod
    def environment(cls) -> Environment:
        """Return where the target is installed."""
        return environment(cls.name, (*pip_url(cls.name), *cls.extras))

    @classmethod
    def command(cls) -> Sequence[str]:
        """Return the command of the target."""
        if cls.script is None:
            return [str(cls.environment().command(cls.name)), *cls.arguments]
        return [str(cls.environment().python), str(cls.script), *cls.arguments]

    def create(self) -> None:  # noqa: B027 - most need nothing
        """Make the warehouse, if a kill while the target makes it would leave a broken one."""

    def _run_script(self, script: str, *arguments: str) -> str:
        return self.environment().run(script, *arguments)

    @property
    def variables(self) -> dict[str, str]:
        """What the target must find in its environment."""
        return {}

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The target's config."""

    @property
    def place(self) -> tuple[str, ...]:
        """The arguments of `refusing`."""
        return ()

    @property
    def table(self) -> str:
        """The name of the table in queries."""
        return "callcap.calls"

    def query(self, query: str) -> list[Row]:
        """Return what a query finds; files cannot be asked."""
        raise NotImplementedError

    @abstractmethod
    def rows(self) -> list[Row]:
        """Return the rows in the destination."""

    def columns(self) -> dict[str, str]:
        """Return the columns with their types; those of a text file have none."""
        return dict.fromkeys(self.rows()[0], "")
