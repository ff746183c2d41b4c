"""The documentation as a site, built and looked at in a browser: links, search, films and pictures.

It takes a minute: `pytest -m slow tests/test_site.py`.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from browsing import chromium, expect_silence

pytestmark = pytest.mark.slow
DOCS = Path(__file__).parent.parent / "docs"
TERMS = {  # what people would type -> a page that must be among those found
    "circular queue": "explanation/truncation",
    "truncated": "explanation/truncation",
    "checkpoint": "explanation/checkpointing",
    "revolve": "explanation/checkpointing",
    "memory budget": "notebooks/memory_budget",
    "old weights": "explanation/what-must-be-stored",
    "store outputs": "explanation/what-must-be-stored",
    "install": "how-to/install",
    "numba": "how-to/install",
    "GPU": "how-to/questions",
    "NaN": "how-to/questions",
    "forecast": "how-to/tasks",
    "csv": "how-to/tasks",
    "resume": "how-to/train",
    "padding": "how-to/variable-lengths",
    "lengths": "how-to/variable-lengths",
    "learning rate": "how-to/train",
    "Keras": "how-to/from-keras-and-jax",
    "stateful": "how-to/from-keras-and-jax",
    "plugin": "how-to/publish-a-plugin",
    "conformance": "reference/checks",
    "gradient clipping": "how-to/train",
    "TensorBoard": "how-to/report",
    "disk": "explanation/checkpointing",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx", reason='the site needs: pip install ".[docs]"')
    built = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(built)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def test_no_link_within_the_site_is_broken(site):
    broken = []
    for page in site.rglob("*.html"):
        if page.parent.name == "films":
            continue
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.read_text("utf-8")):
            parts = urlparse(link)
            if parts.scheme or not parts.path:
                continue
            if not (page.parent / unquote(parts.path)).exists():
                broken.append(f"{page.relative_to(site)}: {link}")
    assert broken == []


@pytest.mark.parametrize("term", TERMS)
def test_the_search_finds_what_people_type(site, browser, term):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get((site / "search.html").as_uri() + "?q=" + term.replace(" ", "+"))
    done = "return document.querySelector('#search-results .search-summary')?.textContent || ''"
    WebDriverWait(browser, 30).until(lambda _: re.search("found|did not match", browser.execute_script(done)))
    found = [link.get_attribute("href") for link in browser.find_elements(By.CSS_SELECTOR, "#search-results li a")]
    assert any(TERMS[term] in link for link in found), found[:5]


@pytest.mark.parametrize("width", [360, 1300])
@pytest.mark.parametrize("page", ["index", "gallery", "explanation/what-must-be-stored", "how-to/plan"])
def test_pages_fit_their_window_and_load_all_they_show(site, browser, page, width):
    mobile = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", mobile)
    browser.get_log("browser")  # what the search has written, which may not read pages from files
    browser.get((site / f"{page}.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    broken = "return [...document.images].filter((i) => !(i.complete && i.naturalWidth)).map((i) => i.src)"
    assert browser.execute_script(broken) == []
    expect_silence(browser)
