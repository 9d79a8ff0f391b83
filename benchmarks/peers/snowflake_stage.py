"""The real target-snowflake, in its own environment, until all lies ready for the stage.

fakesnow in the same process stands for Snowflake. Files that the target would upload are moved to
the folder `loaded`, and nothing is merged or copied into a table.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copy2
from urllib.parse import urlsplit
from uuid import uuid4

import fakesnow
from target_snowflake.connector import SnowflakeConnector
from target_snowflake.target import TargetSnowflake

STAGE = Path("loaded")


def put_batches_to_stage(_: SnowflakeConnector, sync_id: str, files: list[str]) -> None:  # noqa: ARG001 - the target's signature
    """Keep what should be uploaded."""
    STAGE.mkdir(exist_ok=True)
    for url in files:
        path = Path(urlsplit(url).path)
        copy = STAGE / f"{uuid4()}{''.join(path.suffixes[-2:])}"
        try:
            copy.hardlink_to(path)  # costs nothing, unlike a copy
        except OSError:
            copy2(path, copy)


def load_nothing(*_: object, **__: object) -> int:
    """Stand for the merge."""
    return 0


SnowflakeConnector.put_batches_to_stage = put_batches_to_stage
SnowflakeConnector.merge_from_stage = load_nothing
SnowflakeConnector.copy_from_stage = load_nothing

if __name__ == "__main__":
    with fakesnow.patch(nop_regexes=[r"drop file format.*", r"remove .*"]):
        TargetSnowflake.cli()
