"""The page of `rnnframe play` in a real browser: its counters are the simulator's, and it can be used by keyboard.

The browser is headless Chromium with its driver. Without these, or without selenium, the tests are skipped.
"""

from pathlib import Path

import pytest

import rnnframe as rf
from rnnframe.drawing.play import play_page
from rnnframe.inspection.film import film_of
from rnnframe.inspection.watched import watch

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
from browsing import chromium, expect_silence  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

STORES = [
    "full-history",
    "states",
    "checkpoint",
    "checkpoint:slots=2",
    "checkpoint:policy=revolve,slots=3",
    "checkpoint:policy=mixed,slots=6",
    "checkpoint:policy=online,slots=3",
    "checkpoint:medium=float16",
    "circular-queue:k1=2,k2=5",
    "circular-queue:k1=4,k2=4",
    "circular-queue:k1=3,k2=7,weights=stored",
    "auto:budget=1MiB",
]
PROBLEMS = [(steps, chunk) for steps in (1, 2, 3, 5, 8, 12, 17, 24, 33, 40) for chunk in (1, 2, 3, 5, 7)]
COUNTERS = """
    const nodes = [...arguments[0].querySelectorAll("[data-counter]")];
    return Object.fromEntries(nodes.map((node) => [node.dataset.counter, Number(node.dataset.value)]));
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def network():
    return rf.Network(cells=["elman:hidden=3"], head="mse:outputs=2", inputs=2)


def open_page(browser, folder: Path, stores, steps, chunk, values=False):
    made = network()
    plans = [rf.Engine(made, store, chunk, shards=1, kernels="numpy").plan(steps, 1) for store in stores]
    seen = [watch(made, plan, chunk) if values else None for plan in plans]
    page = folder / "page.html"
    page.write_text(play_page([film_of(plan) for plan in plans], seen, None, "A network."), encoding="utf-8")
    browser.get(page.as_uri())
    return plans


def counters(browser):
    return [browser.execute_script(COUNTERS, film) for film in browser.find_elements(By.CLASS_NAME, "film")]


def expect_the_simulators(found, plan):
    done = plan.simulation
    assert found["forward"] == done.forward_steps
    assert found["reverse"] == done.reverse_steps
    assert found["updates"] == done.updates
    assert found["action"] == done.actions
    assert found["peak"] == plan.predicted_bytes
    assert found["now"] == plan.costs.fixed


def expect_end(browser, folder, store, steps, chunk):
    (plan,) = open_page(browser, folder, [store], steps, chunk)
    browser.find_element(By.ID, "last").click()
    (found,) = counters(browser)
    expect_the_simulators(found, plan)
    expect_silence(browser)


@pytest.mark.parametrize("store", STORES)
def test_the_counters_at_the_end_are_the_simulators(browser, tmp_path, store):
    for steps, chunk in ((1, 1), (12, 1), (17, 3)):
        expect_end(browser, tmp_path, store, steps, chunk)


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_the_counters_are_the_simulators_over_a_grid_of_problems(browser, tmp_path, store):
    for steps, chunk in PROBLEMS:
        expect_end(browser, tmp_path, store, steps, chunk)


def test_playing_stepping_and_sliding_come_to_the_same(browser, tmp_path):
    open_page(browser, tmp_path, ["checkpoint:policy=revolve,slots=2"], 8, 1, values=True)
    press = {name: browser.find_element(By.ID, name).click for name in ("first", "back", "next", "last", "play")}
    most = int(browser.find_element(By.ID, "slider").get_attribute("max"))
    stepped = [counters(browser)]
    for _ in range(most):
        press["next"]()
        stepped.append(counters(browser))
    press["next"]()  # there is nothing behind the end
    assert counters(browser) == stepped[-1]
    for n in reversed(range(most)):
        press["back"]()
        assert counters(browser) == stepped[n]
    for n in (most // 2, 1, most, 0, most - 1):
        browser.execute_script(
            "const s = document.getElementById('slider'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
            n,
        )
        assert counters(browser) == stepped[n]
    press["first"]()
    browser.execute_script(
        "const s = document.getElementById('speed'); s.value = 30; s.dispatchEvent(new Event('change'))"
    )
    press["play"]()
    wait = WebDriverWait(browser, 30)
    wait.until(lambda _: browser.find_element(By.TAG_NAME, "body").get_attribute("data-position") == str(most))
    assert counters(browser) == stepped[-1]
    assert browser.find_element(By.ID, "play").text == "Play"
    expect_silence(browser)


def test_two_strategies_share_one_clock(browser, tmp_path):
    plans = open_page(browser, tmp_path, ["full-history", "checkpoint:slots=2"], 9, 1)
    seen = []
    for _ in range(int(browser.find_element(By.ID, "slider").get_attribute("max"))):
        browser.find_element(By.ID, "next").click()
        seen.append([found["forward"] + 2 * found["reverse"] for found in counters(browser)])
    for found, plan in zip(counters(browser), plans, strict=True):
        expect_the_simulators(found, plan)
    ends = [max(work) for work in zip(*seen, strict=True)]
    for works in seen:  # both have done as much work, as long as both go on; a reverse step counts as two
        running = [work for work, end in zip(works, ends, strict=True) if work < end]
        assert len(running) < 2 or max(running) - min(running) <= 2


def test_the_keyboard_is_enough(browser, tmp_path):
    open_page(browser, tmp_path, ["circular-queue:k1=2,k2=4"], 6, 1, values=True)
    body = browser.find_element(By.TAG_NAME, "body")
    place = lambda: int(body.get_attribute("data-position"))  # noqa: E731
    most = int(browser.find_element(By.ID, "slider").get_attribute("max"))
    for key, wanted in (
        (Keys.ARROW_RIGHT, 1),
        (Keys.ARROW_RIGHT, 2),
        (Keys.ARROW_LEFT, 1),
        (Keys.END, most),
        (Keys.HOME, 0),
    ):
        body.send_keys(key)
        assert place() == wanted
    body.send_keys("+++")
    assert browser.find_element(By.ID, "speed").get_attribute("value") == "30"
    body.send_keys(Keys.SPACE)
    WebDriverWait(browser, 30).until(lambda _: place() == most)
    reached = set()
    for _ in range(12):  # every control can be reached
        webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.add(browser.execute_script("return document.activeElement.id || document.activeElement.tagName"))
    assert {"theme", "first", "back", "play", "next", "last", "speed", "slider"} <= reached


def test_a_narrow_window_needs_no_sideways_scrolling_of_the_page(browser, tmp_path):
    size = browser.get_window_size()
    try:
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        )
        open_page(browser, tmp_path, ["checkpoint", "circular-queue:k1=3,k2=7,weights=stored"], 24, 1, values=True)
        for moment in (0, 20, 50):
            browser.execute_script("go(arguments[0])", moment)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.set_window_size(size["width"], size["height"])
    expect_silence(browser)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_violation(browser, tmp_path, theme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is missing: pip install axe-playwright-python")
    script = next(Path(axe.__file__).parent.rglob("axe.min.js"))
    open_page(browser, tmp_path, ["checkpoint", "circular-queue:k1=3,k2=7,weights=stored"], 12, 1, values=True)
    browser.execute_script("paint(arguments[0])", theme == "dark")
    for moment in (0, 9, 30):
        browser.execute_script("go(arguments[0])", moment)
        browser.execute_script(script.read_text("utf-8"))
        found = browser.execute_async_script("const done = arguments[arguments.length - 1]; axe.run().then(done)")
        assert [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in found["violations"]] == []
