"""A real browser for the tests: Chromium, driven by Playwright.

`LOCKSTEP_BROWSER` names the browser's program. If it is set, a browser that does not start is an error.
Otherwise one is looked for, and the tests are skipped where there is none.
"""

import os
import shutil
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def program():
    """The browser's program. Skips the test if none was asked for and none is here."""
    named = os.environ.get("LOCKSTEP_BROWSER")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no browser is here: install Chromium, or name one in LOCKSTEP_BROWSER")
    return found


@contextmanager
def browser():
    """Start the browser."""
    path = program()
    if "LOCKSTEP_BROWSER" not in os.environ:
        pytest.importorskip(
            "playwright", reason="playwright, which drives the browser, is not installed"
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()
