"""The page in a real browser: it works, nothing is loaded, and no name becomes markup or code."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import threading

import pytest

from hierlearn.reporting import report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
pytest.importorskip("jinja2", reason="Jinja2 renders reports")

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1280,900"),
    *("--disable-dev-shm-usage", "--disable-extensions", "--force-prefers-reduced-motion"),
)
# What the browser writes into its log where code of a name ran.
_RAN = "window.alert = (text) => console.error('ran: ' + text);"

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def found_program(variable, names):
    """Return the path of a program: named by a variable of the environment, or on the path."""
    given = os.environ.get(variable)
    return given or next((path for name in names if (path := shutil.which(name))), None)


@contextlib.contextmanager
def started():
    """Start a browser, or skip the test where there is none."""
    program = found_program("HIERLEARN_CHROMIUM", _BROWSERS)
    driver = found_program("HIERLEARN_CHROMEDRIVER", ("chromedriver",))
    if program is None or driver is None:
        pytest.skip("no Chromium with its chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(driver))
    try:
        opened.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _RAN})
        yield opened
    finally:
        opened.quit()


@pytest.fixture(scope="module")
def browser():
    with started() as opened:
        yield opened


@pytest.fixture
def browser_of_its_own():
    """A browser for a test that leaves something in the log."""
    with started() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fitted, test, told, hostile):
    """Reports on digits, on names that try to break out, and on a thousand classes."""
    made = tmp_path_factory.mktemp("reports")
    names = [f"digit {code}" for code in range(10)]
    report(fitted, *test, made / "digits.html", image_shape=(8, 8), class_names=names)
    model, X, y, partition = told(len(hostile), 4, names=["<i>one</i>", "مجموعة", "🦊", "four"])
    title = "</title><script>alert(2)</script>"
    report(
        model,
        X,
        y,
        made / "hostile.html",
        partition=partition,
        class_names=hostile,
        title=title,
    )
    model, X, y, partition = told(1000, 30, n_samples=20_000)
    report(model, X, y, made / "thousand.html", partition=partition)
    return made


@pytest.fixture(scope="module")
def served(folder):
    """Serve the reports on this machine, so that a request for anything would be seen."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def opened(browser, folder):
    """Return a function that opens a report; afterwards the console must be empty."""

    def go(name):
        browser.get((folder / f"{name}.html").as_uri())
        return browser

    browser.get("data:,")
    browser.get_log("performance")  # what was asked for before is not ours
    yield go
    assert browser.get_log("browser") == []


def requests_of(browser):
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def until(browser, condition):
    return WebDriverWait(browser, 10).until(condition)


def by_id(browser, name):
    return browser.find_element(By.ID, name)


def values_of(browser):
    """Return what the page's script reads: names, counts, clusters."""
    return json.loads(by_id(browser, "values").get_attribute("textContent"))


def click(browser, element):
    """Click an element in the middle of the window, clear of what sticks to its top."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


@pytest.mark.parametrize("name", ["digits", "hostile", "thousand"])
def test_page_opens_and_asks_for_nothing(opened, name):
    browser = opened(name)
    assert not by_id(browser, "matrix").get_attribute("hidden")
    loaded = [url for url in requests_of(browser) if not url.startswith("data:")]
    assert [url for url in loaded if not url.endswith(f"{name}.html")] == []
    assert len(loaded) == 1


def test_server_is_asked_for_the_page_alone(browser, served):
    address, asked = served
    browser.get(f"{address}/digits.html")
    until(browser, lambda b: not by_id(b, "matrix").get_attribute("hidden"))
    assert asked == ["/digits.html"]


def test_search_finds_a_class_and_opens_its_cluster(opened):
    browser = opened("digits")
    row = by_id(browser, f"class-{values_of(browser)['names'].index('digit 7')}")
    assert not row.is_displayed()
    query = by_id(browser, "query")
    query.send_keys("GIT 7")
    options = browser.find_elements(By.CSS_SELECTOR, "#hits [role=option]")
    assert [option.find_element(By.TAG_NAME, "bdi").text for option in options] == ["digit 7"]
    assert by_id(browser, "found").get_attribute("textContent") == "1 of 10 found"
    query.send_keys(Keys.ENTER)
    until(browser, lambda _: row.is_displayed())
    assert "here" in row.get_attribute("class")
    assert browser.switch_to.active_element == row


def test_search_says_when_there_is_none(opened):
    browser = opened("digits")
    by_id(browser, "query").send_keys("walrus")
    assert "no such name" in by_id(browser, "hits").text


def test_cluster_opens_by_click_and_by_key(opened):
    browser = opened("digits")
    cluster = by_id(browser, "cluster-0")
    summary, leaf = cluster.find_element(By.TAG_NAME, "summary"), by_id(browser, "class-0")
    assert not leaf.is_displayed()
    click(browser, summary)
    assert leaf.is_displayed()
    summary.send_keys(Keys.ENTER)
    assert not leaf.is_displayed()
    click(browser, by_id(browser, "open-all"))
    assert all(row.is_displayed() for row in browser.find_elements(By.CSS_SELECTOR, "li.row"))


def test_pointing_at_a_cell_shows_names_and_count(opened):
    browser = opened("digits")
    canvas = by_id(browser, "cells")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    tip = by_id(browser, "tip")
    assert not tip.is_displayed()
    ActionChains(browser).move_to_element_with_offset(canvas, 40, 40).perform()
    until(browser, lambda _: tip.is_displayed())
    true, *others = (bdi.text for bdi in tip.find_elements(By.TAG_NAME, "bdi"))
    predicted = others[0] if others else true
    values = values_of(browser)
    row, column = values["names"].index(true), values["names"].index(predicted)
    entries = range(values["starts"][row], values["starts"][row + 1])
    counts = {values["columns"][entry]: values["counts"][entry] for entry in entries}
    assert f"{counts.get(column, 0)} of {values['totals'][row]} samples" in tip.text


def test_arrow_keys_read_the_matrix_and_enter_zooms(opened):
    browser = opened("digits")
    canvas = by_id(browser, "cells")
    canvas.send_keys(Keys.ARROW_RIGHT)
    readout = by_id(browser, "readout").text
    assert readout.startswith(values_of(browser)["names"][0])
    assert "right" in readout
    canvas.send_keys(Keys.ENTER)
    assert by_id(browser, "zoom").get_attribute("value") == "0"
    canvas.send_keys(Keys.ESCAPE)
    assert by_id(browser, "zoom").get_attribute("value") == ""


def test_clusters_are_sorted(opened):
    browser = opened("digits")
    table = by_id(browser, "cluster-table")
    click(browser, table.find_elements(By.CSS_SELECTOR, "thead button")[3])
    right = [
        float(row.find_elements(By.TAG_NAME, "td")[2].get_attribute("data-value"))
        for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]
    assert right == sorted(right, reverse=True)


def test_hostile_names_are_shown_and_not_run(opened, hostile):
    browser = opened("hostile")
    click(browser, by_id(browser, "open-all"))
    names = [element.text for element in browser.find_elements(By.CSS_SELECTOR, "li.row .name bdi")]
    assert "<script>alert(1)</script>" in names
    assert browser.title == "</title><script>alert(2)</script>"
    assert len(browser.find_elements(By.CSS_SELECTOR, "script")) == 2
    assert browser.find_elements(By.CSS_SELECTOR, "img, [onmouseover], main i i, b i") == []
    by_id(browser, "query").send_keys("alert")
    hits = browser.find_elements(By.CSS_SELECTOR, "#hits bdi[dir=auto]")
    assert any("<script>" in hit.text for hit in hits)
    by_id(browser, "query").send_keys(Keys.ESCAPE)
    for _ in range(3):
        click(browser, browser.find_element(By.CSS_SELECTOR, "#strongest button"))
        assert by_id(browser, "readout").text


def test_injected_script_is_stopped_by_the_policy(browser_of_its_own, folder):
    browser = browser_of_its_own
    browser.get((folder / "digits.html").as_uri())
    browser.execute_script(
        "const code=document.createElement('script'); code.textContent='window.ran=1';"
        "document.body.append(code); new Image().src='http://127.0.0.1:9/pixel.png';"
    )
    stopped = []
    until(browser, lambda b: stopped.extend(b.get_log("browser")) or len(stopped) >= 2)
    assert all("Content Security Policy" in entry["message"] for entry in stopped)
    assert browser.execute_script("return window.ran") is None


@pytest.mark.parametrize("width", [390, 800, 1280])
@pytest.mark.parametrize("name", ["digits", "hostile", "thousand"])
def test_page_is_never_wider_than_the_screen(opened, name, width):
    browser = opened(name)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        click(browser, by_id(browser, "open-all"))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_without_javascript_there_are_tables(browser, folder):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((folder / "digits.html").as_uri())
        assert not by_id(browser, "matrix").is_displayed()
        assert not by_id(browser, "search").is_displayed()
        leaf = by_id(browser, "class-0")
        click(browser, by_id(browser, "cluster-0").find_element(By.TAG_NAME, "summary"))
        assert leaf.is_displayed()
        assert by_id(browser, "cluster-table").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
