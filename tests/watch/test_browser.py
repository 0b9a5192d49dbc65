"""The page in a real browser, Chromium without a screen: it draws, plays, streams, and answers keys."""

import io
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rlbot.rating.matches import Conditions, Pairing, play
from rlbot.recording import Recording
from rlbot.recording.recording import from_bytes
from rlbot.watch import page as content
from rlbot.watch.lineup import lineup
from rlbot.watch.live import Lineup, LiveMatch
from rlbot.watch.server import Content, serving
from tests.rating.test_matches import driver

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, such as the system's package chromium")
ARGUMENTS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
PATIENCE = 60.0  # s: without a GPU, and beside other tests


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    as_root = ["--no-sandbox"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *as_root])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def match() -> Recording:
    """With goals in it, from kickoff, of a bot that tells what it thinks; its name is markup."""
    (results,) = play([driver(50), "idle"], [Pairing(0, 1, 1, record=1)], Conditions(1, 1, seconds=20.0, seed=1))
    recording = from_bytes(results.recordings[0], "match")
    recording.header["cars"][0]["name"] = "<img src=x onerror=alert(1)>"
    assert sum(recording.score) > 0
    return recording


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a window of its own; what the console says of errors fails the test."""
    contexts, errors = [], []

    def open_page(url: str, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": 800, "height": 500}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.goto(url)
        wait(page, "window.viewer?.stage.frames > 2")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def wait(page: Any, condition: str, seconds: float = PATIENCE) -> None:
    """Until the condition holds, in JavaScript. Playwright's own function for it needs eval, which the page forbids."""
    until = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < until, f"{condition} was not reached"
        time.sleep(0.05)


def picture(page: Any) -> "np.ndarray[Any, Any]":
    """What is drawn in the middle of the page."""
    shot = page.screenshot(clip={"x": 220, "y": 80, "width": 300, "height": 300})
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)


def drawn_anew(page: Any) -> None:
    frames = page.evaluate("viewer.stage.frames")
    wait(page, f"viewer.stage.frames > {frames + 2}")


def test_a_recording_is_played(opened: Callable[..., Any], match: Recording) -> None:
    with serving(Content(content.content(None, match)), "127.0.0.1", 0) as server:
        page = opened(server.url)
        first = picture(page)
        assert first.std() > 10, "the canvas is not blank"
        wait(page, "viewer.player.tick > 120")
        assert np.abs(picture(page) - first).mean() > 0.5, "it moves"
        assert page.text_content(".team-0.team") == "<img src=x onerror=alert(1)>", "a name is text"
        assert page.text_content(".label-0 b") == "<img src=x onerror=alert(1)>"
        goals = [event for event in match.events if event.kind == "goal"]
        assert page.locator(".marks .goal").count() == len(goals)

        bar = page.locator(".timeline > .bar").bounding_box()
        page.mouse.move(bar["x"] + 5, bar["y"] + 12)
        page.mouse.down()
        page.mouse.move(bar["x"] + bar["width"] + 20, bar["y"] + 12, steps=4)
        page.mouse.up()
        drawn_anew(page)
        assert page.text_content(".goals-0") == str(match.score[0]) and page.text_content(".goals-1") == str(
            match.score[1]
        )
        assert (
            page.text_content(".now") == page.text_content(".total") == "0:20" and page.text_content(".clock") == "0:00"
        )
        page.keyboard.press("Home")
        drawn_anew(page)
        assert page.text_content(".goals-0") == "0" and page.text_content(".clock") in ("0:20", "0:19")
        page.keyboard.press("Space")
        assert page.text_content(".actions li.taken .words"), "what was chosen, in words"


def test_keys_and_cameras(opened: Callable[..., Any], match: Recording) -> None:
    with serving(Content(content.content(None, match)), "127.0.0.1", 0) as server:
        page = opened(server.url)
        page.keyboard.press("Space")
        assert page.evaluate("viewer.player.playing") is False
        page.keyboard.press("Home")
        pictures = {}
        for key, name in zip("1234", ("broadcast", "follow", "orbit", "top"), strict=True):
            page.keyboard.press(key)
            assert page.evaluate("viewer.stage.cameras.mode") == name
            drawn_anew(page)
            drawn_anew(page)
            pictures[name] = picture(page)
            assert pictures[name].std() > 10, name
        for a, b in itertools.pairwise(pictures):
            assert np.abs(pictures[a] - pictures[b]).mean() > 3, f"{b} looks from elsewhere than {a}"
        page.keyboard.press(".")
        page.keyboard.press(".")
        assert page.evaluate("viewer.player.tick") == 16
        page.keyboard.press(",")
        assert page.evaluate("viewer.player.tick") == 8
        page.keyboard.press("ArrowRight")
        assert page.evaluate("viewer.player.tick") == 248
        page.keyboard.press("+")
        assert page.evaluate("viewer.player.speed") == 2
        for _ in range(5):
            page.keyboard.press("-")
        assert page.evaluate("viewer.player.speed") == 0.25
        page.keyboard.press("Tab")
        assert page.evaluate("[viewer.stage.cameras.car, viewer.stage.cameras.mode]") == [1, "follow"]
        page.keyboard.press("h")
        assert page.locator(".help").is_visible() and "ball cam" in page.text_content(".help")
        page.keyboard.press("Escape")
        page.keyboard.press("i")
        assert page.locator(".help").is_hidden() and page.locator(".mind").is_hidden()


def test_a_live_match(opened: Callable[..., Any]) -> None:
    bot = driver(3)
    live = LiveMatch(Lineup((bot, bot), ("one", "two"), "a title"), (2, 2))
    live.start()
    with serving(Content(content.content(None, None), live), "127.0.0.1", 0) as server:
        page = opened(server.url)
        wait(page, "viewer.clip.length > 20")
        assert page.text_content(".note") == "a title" and page.locator(".player").count() == 4
        page.keyboard.press("Space")
        wait(page, "viewer.status.paused && viewer.player.tick === viewer.player.last")
        ticks = page.evaluate("viewer.player.last")
        page.keyboard.press(".")
        wait(page, f"viewer.player.last === {ticks + 8}")
        page.keyboard.press("4")
        drawn_anew(page)
        page.keyboard.press("p")
        page.mouse.click(300, 200)
        wait(page, "viewer.pose.ball.vel[0] === 0 && viewer.pose.ball.vel[1] === 0 && viewer.pose.ball.pos[1] < -500")
        page.keyboard.press("d")
        wait(page, "viewer.status.deterministic")
        page.keyboard.press("r")
        wait(page, "viewer.player.last === 0")
        live.close()


def test_an_exported_page_needs_no_network(opened: Callable[..., Any], match: Recording, tmp_path: Path) -> None:
    file = tmp_path / "match of <b>.html"
    file.write_bytes(content.export_html(match.to_bytes(), "a <title>"))
    page = opened(file.as_uri(), offline=True)
    wait(page, "viewer.player.tick > 60")
    assert page.title() == "a <title>" and picture(page).std() > 10
    page.keyboard.press("End")
    drawn_anew(page)
    assert page.text_content(".goals-0") == str(match.score[0])


def test_a_damaged_recording_is_told(browser: Any, match: Recording) -> None:
    files = content.content(None, match)
    files["/recording.npz"] = ("application/octet-stream", match.to_bytes()[:500])
    with serving(Content(files), "127.0.0.1", 0) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.wait_for_selector(".failure")
        assert page.text_content(".failure") == "This match cannot be shown: this is no recording, or a truncated one"
        page.close()


@pytest.mark.slow
def test_memory_stays_flat_over_five_minutes_of_live_play(opened: Callable[..., Any]) -> None:
    live = LiveMatch(lineup("random", None), (2, 2))
    live.start()
    with serving(Content(content.content(None, None), live), "127.0.0.1", 0) as server:
        page = opened(server.url)
        page.keyboard.press("+")
        page.keyboard.press("+")
        session = page.context.new_cdp_session(page)

        def heap(seconds: int) -> float:
            wait(page, f"viewer.player.last >= {seconds * 120}", 300.0)
            session.send("HeapProfiler.collectGarbage")
            return float(session.send("Runtime.getHeapUsage")["usedSize"])

        heap(60)
        full = heap(150)  # the buffer is full after two minutes
        last = heap(300)
        assert page.evaluate("viewer.clip.length") == 1800
        assert last < 1.1 * full + 1e6
        live.close()
