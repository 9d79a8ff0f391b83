"""A real browser, without a window."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from targets.environments import environment
from targets.postgresql import apt_get

PLAYWRIGHT = ("playwright==1.65.2",)
LOOK = """
import json, sys
from playwright.sync_api import sync_playwright
browser, page, width, scheme, picture = sys.argv[1:]
with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    tab = chromium.new_page(viewport={"width": int(width), "height": 800}, color_scheme=scheme)
    asked, errors = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page)
    tab.wait_for_function("document.querySelectorAll('section svg').length >= 5")
    tab.screenshot(path=picture, full_page=True)
    json.dump({"asked": asked, "errors": errors} | tab.evaluate('''() => ({
        width: document.documentElement.scrollWidth,
        background: getComputedStyle(document.body).backgroundColor,
        text: getComputedStyle(document.querySelector("svg text")).fill,
        figures: Object.fromEntries(
            [...document.querySelectorAll("dd")].map(it => [it.id, it.textContent])),
        marks: Object.fromEntries([...document.querySelectorAll("section")].map(it => [it.id,
            [...it.querySelectorAll("path[role=graphics-symbol]")].map(mark => {
                const box = mark.getBoundingClientRect();
                return [mark.getAttribute("aria-label"), box.width, box.height];
            })])),
    })'''), sys.stdout)
    chromium.close()
"""


class NoBrowserError(RuntimeError):
    """There is no Chromium, and it cannot be installed."""


def look(page: Path, *, width: int, scheme: str, picture: Path) -> dict[str, Any]:
    """Open a page, write its picture, and return what is drawn in it.

    Args:
        page: The file.
        width: Width of the window, in pixels.
        scheme: Colors that the reader prefers, `light` or `dark`.
        picture: Where the picture is written.
    """
    seen: dict[str, Any] = json.loads(
        environment("browser", PLAYWRIGHT).run(*(
            LOOK,
            _chromium(),
            page.as_uri(),
            str(width),
            scheme,
            str(picture),
        ))
    )
    return seen


def _chromium() -> str:
    """Return the command of Chromium; on a Debian without it, root installs it.

    Raises:
        NoBrowserError: If there is none.
    """
    found = _found()
    if found is None and os.geteuid() == 0 and Path("/usr/bin/apt-get").exists():
        apt_get("update")
        apt_get("install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core")
        found = _found()
    if found is None:
        msg = "There is no Chromium: install it"
        raise NoBrowserError(msg)
    return found


def _found() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)
