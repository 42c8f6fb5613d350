"""A browser for the pages of course and documentation, where one is installed."""

import shutil

import pytest

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page was opened")
    if BROWSER is None:
        pytest.skip("no Chromium is installed: no page was opened")
    with playwright.sync_playwright() as driver:
        given = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        found = driver.chromium.launch(executable_path=BROWSER, headless=True, args=given)
        yield found
        found.close()
