"""The blocks of commands in README and the other documents."""

from __future__ import annotations

import re

from support.clones import CHECKOUT

DOCUMENTS = [
    *(CHECKOUT.glob("*.md")),
    *(CHECKOUT / "docs").glob("*.md"),
    *(CHECKOUT / "examples").glob("*.md"),
]
FOUND = [
    block
    for document in DOCUMENTS
    for block in re.findall(
        r"^```sh\n(.*?)^```", document.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
]
BLOCKS = {block.partition("\n")[0]: block for block in FOUND}
"""The blocks of commands by their first lines."""
