"""The lesson's page in a real browser: what moves, what reads without a script, what is never shown."""

import re
from dataclasses import replace

import pytest
from browser import browser

from ports.commands import lesson as command
from ports.lesson.lesson import made_lesson
from ports.lesson.run import lesson_run
from ports.lesson.script import CHAPTERS
from ports.report.lesson.digits import compared, written
from ports.report.lesson.numbers import FOLLOWED, label
from ports.report.lesson.page import Page, render
from ports.traps import GALLERY, wrong_port
from reference.models import SOFTMAX

pytest.importorskip("torch")
pytest.importorskip("jax")
pytest.importorskip("jinja2")
pytest.importorskip("latex2mathml")

#: The page must not be larger.
MOST_BYTES = 3_000_000
WIDTHS = (360, 1600)


@pytest.fixture(scope="module")
def lesson():
    """A lesson made on this machine."""
    return made_lesson()


@pytest.fixture(scope="module")
def file(lesson, tmp_path_factory):
    """Its page, on the disk."""
    path = tmp_path_factory.mktemp("lesson") / "lesson.html"
    path.write_text(render(lesson), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    with browser() as started:
        yield started


@pytest.fixture
def opened(chromium):
    """Open a file with these settings; errors in the page fail the test."""
    pages, errors = [], []

    def open_(path, **settings):
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}, **settings})
        page.set_default_timeout(120_000)  # a busy machine is slow, and that is not what is tested
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("request", lambda request: _is_local(request.url) or errors.append(request.url))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()
    assert not errors


def _is_local(url):
    return url.startswith(("file:", "data:"))


def cells(page):
    """What each cell shows: (part, quantity, port) -> lines of [index, same digits, other digits]."""
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".cell")].map((cell) => [
            [cell.dataset.part, cell.dataset.quantity, cell.dataset.of],
            [...cell.querySelectorAll(".numbers li")].map((line) => [
                line.querySelector(".index").textContent,
                line.querySelector(".digits").firstChild?.nodeName === "#text"
                    ? line.querySelector(".digits").firstChild.textContent : "",
                line.querySelector("mark")?.textContent ?? "",
            ]),
        ])"""
    )
    return {tuple(key): [tuple(line) for line in lines] for key, lines in shown}


def expected_cells(lesson, position, example):
    """The same from the certified run itself."""
    view, found = Page(lesson), {}
    for part, quantities in view.numbers.items():
        at = view.positions[position].get(part, 0)
        for quantity, steps in quantities.items():
            for port in ("", *steps[at].ports):
                lines = steps[at].shown(port, example)
                found[part, quantity, port or "numpy"] = [(name, *digits) for name, digits in lines]
    return found


def shown_digits(digits):
    """A number as a reader sees it."""
    return "".join(digits)


# --- The numbers ---


@pytest.mark.parametrize("position", [0, 1, 4, 7])
def test_the_slider_moves_every_number(lesson, file, opened, position):
    """At each place of the slider, each cell shows the certified numbers of its step."""
    page = opened(file)
    page.locator("#step").fill(str(position))
    assert cells(page) == expected_cells(lesson, position, FOLLOWED)


def test_the_numbers_are_the_runs_own(lesson, file, opened):
    """The digits of a port's tensor and the reference's are those of the run, element by element."""
    page = opened(file)
    page.locator("#step").fill("3")
    snapshot = lesson.run.models["two_layer"].snapshots[3]
    shown = cells(page)
    for port in ("torch_manual", "jax_grad"):
        for k in range(3):
            got = float(snapshot.ports[port].trace["scores"][FOLLOWED, k])
            expected = float(snapshot.reference["scores"][FOLLOWED, k])
            (index, same, other), want = shown["two_layer", "scores", port][k], compared(got, expected)
            assert (index, same, other) == (label((FOLLOWED, k)), *want)
            assert float(same + other) == got
            assert float(shown_digits(shown["two_layer", "scores", "numpy"][k][1:])) == expected


def test_step_loss_boundary_and_marker_move_together(lesson, file, opened):
    """The slider also moves the step's number, loss and accuracy, the map, and the line in the chart."""
    page = opened(file)

    def state():
        return page.evaluate(
            """() => ({
                now: document.querySelector("figure.loss[data-model=two_layer] .now").innerText,
                map: document.querySelector("[data-part=two_layer] image").getAttribute("href"),
                line: document.querySelector("[data-model=two_layer] .step-line").getAttribute("x1"),
                control: document.querySelector("[data-now=two_layer]").textContent,
            })"""
        )

    before = state()
    page.locator("#step").fill("6")
    after = state()
    step = lesson.run.models["two_layer"].snapshots[6].step
    loss = float(lesson.run.models["two_layer"].losses[step])
    assert after["control"] == str(step)
    assert after["now"].startswith(f"Step {step}: loss {loss:.6f}")
    assert before["map"] != after["map"]
    assert float(before["line"]) < float(after["line"])


def test_an_example_is_followed_by_pointer_and_keys(lesson, file, opened):
    """Pointing at a point, or the arrow keys, put its rows into every tensor that has one."""
    page = opened(file)
    page.locator(".plane svg[data-part=softmax] .point[data-example='40']").dispatch_event("click")
    assert cells(page) == expected_cells(lesson, 0, 40)
    assert page.locator("#example").input_value() == "40"
    page.locator(".plane svg[data-part=softmax] .point[data-example='40']").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.example") == "41"
    page.keyboard.press("PageDown")
    assert cells(page) == expected_cells(lesson, 0, 51)
    page.locator("#example").fill("12")
    page.keyboard.press("Enter")
    assert (
        page.locator(".plane svg[data-part=two_layer] .followed").get_attribute("data-example") == "12"
    )
    assert cells(page) == expected_cells(lesson, 0, 12)


def test_the_script_writes_numbers_as_python_does(file, opened):
    """Both sides write, compare and move numbers in the same way, the smallest and largest too."""
    numbers = [
        0.0,
        -0.0,
        1.0,
        -1 / 3,
        1e-4,
        9.999e-5,
        -1.5e-7,
        5e-324,
        1e15,
        2 / 3,
        0.1 + 0.2,
        123456.789,
    ]
    page = opened(file)
    assert page.evaluate("(n) => n.map(written)", numbers) == [written(n) for n in numbers]
    pairs = [(0.1 + 0.2, 0.3), (1.0, 1.0), (-1e-9, 1e-9), (2.0, 3.0)]
    assert page.evaluate("(p) => p.map(([a, b]) => compared(a, b))", pairs) == [
        list(compared(*pair)) for pair in pairs
    ]
    moved = page.evaluate("[moved(1, 1), moved(1, -1), moved(0, -1), moved(-1, 1), moved(5e-324, -2)]")
    assert moved == [1 + 2**-52, 1 - 2**-53, -5e-324, -1 + 2**-53, -5e-324]


# --- The ladder, the breaks, the languages ---


def test_the_ladder_shows_one_version_of_each_framework(file, opened):
    """Each radio button shows its port in every row, and hides the others."""
    page = opened(file)
    for port in ("torch_autograd", "torch_library", "torch_manual", "jax_grad", "jax_library"):
        page.locator(f"#rung-{port}").check()
        framework = port.partition("_")[0]
        visible = page.evaluate(
            """(name) => [...new Set([...document.querySelectorAll(`.column.${name} > .port`)]
                .filter((port) => port.checkVisibility()).map((port) => port.dataset.port))]""",
            framework,
        )
        assert visible == [port]


def test_every_break_turns_its_cells_red(lesson, file, opened):
    """Choosing a break marks the quantities it spoils, and shows its diagnosis and the other checks."""
    page = opened(file)
    assert len(lesson.breaks) >= 12
    for broken in lesson.breaks:
        page.locator(f"[data-break={broken.name}]").click()
        states = page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll(".cell[data-state]")]
                .map((cell) => [`${cell.dataset.of} ${cell.dataset.quantity}`, cell.dataset.state]))"""
        )
        shown = {f"{broken.port} {name}": state for name, state in broken.states.items()}
        assert states == shown
        assert states[f"{broken.port} {broken.blamed}"] == "wrong"
        (article,) = [a for a in page.locator("article.break").all() if a.is_visible()]
        text = article.inner_text()
        assert broken.sentence in text
        assert all(line.strip() in text for line in broken.yours)
        assert all(check in text for check in broken.naive)
    page.locator("[data-break='']").click()
    assert page.locator(".cell[data-state]").count() == 0
    assert page.locator("article.break:visible").count() == 0


def test_a_language_at_a_time(file, opened):
    """Each language's button shows its words and hides the other's."""
    page = opened(file)
    for language, other, word in (("ko", "en", "학습"), ("en", "ko", "Training")):
        page.locator(f"#language-{language}").check()
        assert page.evaluate("document.documentElement.lang") == language
        hidden = f"[lang={other}]:not(html, .always)"
        assert (
            page.evaluate(
                "(which) => [...document.querySelectorAll(which)].some((e) => e.checkVisibility())",
                hidden,
            )
            is False
        )
        assert page.locator("#training h2").inner_text() == word


# --- Every reader ---


def test_it_reads_without_javascript(lesson, file, opened):
    """Without JavaScript there is step 0, and every break; the ladder and the languages still switch."""
    page = opened(file, java_script_enabled=False)
    assert page.locator("#step").is_visible() is False
    assert page.locator("article.break:visible").count() == len(lesson.breaks)
    line = page.locator(".cell[data-part=softmax][data-quantity=scores][data-of=numpy] li").first
    reference = lesson.run.models["softmax"].snapshots[0].reference["scores"][FOLLOWED, 0]
    assert line.inner_text().split() == ["[150,", "0]", written(reference)]
    page.locator("#rung-torch_library").check()
    assert page.locator("#softmax-scores .torch > [data-port=torch_library]").is_visible()
    assert page.locator("#softmax-scores .torch > [data-port=torch_manual]").is_visible() is False
    page.locator("#language-ko").check()
    assert page.locator("#training h2").inner_text() == "학습"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out(file, opened, width):
    """The page is as wide as its window, in both languages."""
    page = opened(file, viewport={"width": width, "height": 800})
    for language in ("en", "ko"):
        page.locator(f"#language-{language}").check()
        assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.fixture
def short_file(lesson, tmp_path, monkeypatch):
    """The page with every part once: a row of each chapter, two breaks. axe takes minutes for all."""
    chapters = [chapter._replace(rows=(chapter.rows[0], chapter.rows[-1])) for chapter in CHAPTERS]
    monkeypatch.setattr(Page, "chapters", chapters)
    monkeypatch.setattr(Page, "points", lambda self, points=Page.points: points(self)[140:155])
    monkeypatch.setattr(Page, "followed", 10)
    path = tmp_path / "short.html"
    path.write_text(render(replace(lesson, breaks=lesson.breaks[:2])), encoding="utf-8")
    return path


def violations(page):
    """What axe-core finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [(v["id"], v["nodes"][0]["html"][:200], v["nodes"][0]["failureSummary"]) for v in found]


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1600, "light")])
def test_axe_finds_nothing(lesson, short_file, opened, width, scheme):
    """axe-core finds no violation, with a break chosen."""
    page = opened(short_file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.locator(f"[data-break={lesson.breaks[1].name}]").click()
    assert violations(page) == []


def test_axe_finds_what_is_planted(short_file, opened):
    """A slider without a name and a pale title are found."""
    page = opened(short_file)
    page.evaluate("document.querySelector('#step').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('h1').style.color = 'silver'")
    assert {"label", "color-contrast"} <= {name for name, *_ in violations(page)}


def test_everything_is_reached_by_keyboard(file, opened):
    """Tab reaches the slider, the example, each ladder, the languages, a point and the breaks."""
    page = opened(file)
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => {
                    const at = document.activeElement;
                    if (at.dataset.break !== undefined) return "break";
                    return at.id || (at.dataset.example ? "point" : at.tagName);
                }"""
            )
        )
    wanted = {"step", "example", "rung-torch_manual", "rung-jax_manual", "language-en", "point", "break"}
    assert wanted <= reached


def test_print_has_no_controls(file, opened):
    """On paper there are no controls."""
    page = opened(file)
    page.emulate_media(media="print")
    assert page.locator(".controls").is_visible() is False
    assert page.locator("#softmax-scores").is_visible()


# --- The file ---


def test_the_file_stands_alone_and_is_small(file):
    """At most 3 MB, and nothing in it is loaded from elsewhere."""
    assert file.stat().st_size <= MOST_BYTES
    text = file.read_text(encoding="utf-8")
    loaded = re.findall(r"""(?:src|href)=["']([^"'#]*)["']""", text)
    assert loaded
    assert all(address.startswith("data:") for address in loaded if address)
    assert "url(" not in text.partition("</style>")[0]


def test_all_is_certified(lesson):
    """The run behind the page compared numbers, and they agree."""
    assert lesson.run.elements > 1_000_000
    assert lesson.disagreements == []
    assert {*lesson.run.models} == {chapter.model.name for chapter in CHAPTERS}


# --- What disagrees, and what is missing ---


@pytest.fixture(scope="module")
def wrong_lesson(lesson):
    """The same with a wrong port in the place of torch_manual, in the softmax classifier."""
    trap = GALLERY["gradient_not_averaged"]
    run = lesson_run([wrong_port(trap)], [SOFTMAX])
    snapshots = [
        replace(snapshot, ports={**snapshot.ports, trap.port: other.ports[trap.port]})
        for snapshot, other in zip(
            lesson.run.models["softmax"].snapshots, run.models["softmax"].snapshots, strict=True
        )
    ]
    softmax = replace(lesson.run.models["softmax"], snapshots=snapshots)
    return replace(lesson, run=replace(lesson.run, models={**lesson.run.models, "softmax": softmax}))


def test_what_disagrees_is_red_and_has_no_number(wrong_lesson, opened, tmp_path):
    """A port that disagrees is told on the page; what is not certified is not shown, at any step."""
    path = tmp_path / "wrong.html"
    path.write_text(render(wrong_lesson), encoding="utf-8")
    page = opened(path)
    assert "torch_manual: softmax, step 0: dscores" in page.get_by_role("alert").inner_text()
    cell = page.locator(".cell[data-part=softmax][data-quantity=dscores][data-of=torch_manual]")
    assert cell.locator(".problem").is_visible()
    assert cell.locator(".numbers").count() == 0
    wrong = wrong_lesson.run.models["softmax"].snapshots[0].ports["torch_manual"].trace["dscores"]
    assert (
        written(wrong[FOLLOWED, wrong_lesson.run.spiral.reference["y"][FOLLOWED]]) not in page.content()
    )
    page.locator("#step").fill("3")
    assert cell.locator(".problem").is_visible()
    other = page.locator(".cell[data-part=softmax][data-quantity=scores][data-of=torch_manual]")
    assert other.locator(".numbers li").count() == 3


def run_command(lesson, monkeypatch, path):
    """The command with a lesson that is made already."""
    monkeypatch.setattr("ports.lesson.lesson.made_lesson", lambda *_: lesson)
    arguments = type("Arguments", (), {"out": path, "exercise": None, "framework": None})()
    return command.run(arguments)


def test_the_command_says_what_it_wrote(lesson, monkeypatch, tmp_path, capsys):
    """0 if all is certified; the page is there."""
    assert run_command(lesson, monkeypatch, tmp_path / "page.html") == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'page.html'}: open it in a browser\n"
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == render(lesson)


def test_the_command_fails_if_something_disagrees(wrong_lesson, monkeypatch, tmp_path, capsys):
    """1 if a port disagrees, with a sentence, and the page is there all the same."""
    assert run_command(wrong_lesson, monkeypatch, tmp_path / "page.html") == 1
    assert "torch_manual: softmax, step 0: dscores uses" in capsys.readouterr().out
    assert (tmp_path / "page.html").exists()


def without(lesson, framework):
    """The lesson as it is where a framework is not installed."""

    def kept(ports):
        return {name: made for name, made in ports.items() if not name.startswith(framework)}

    models = {
        name: replace(run, snapshots=[replace(s, ports=kept(s.ports)) for s in run.snapshots])
        for name, run in lesson.run.models.items()
    }
    spiral = replace(lesson.run.spiral, ports=kept(lesson.run.spiral.ports))
    return replace(
        lesson,
        absent={
            framework: f"{framework} needs {framework}, not installed here: pip install {framework}"
        },
        run=replace(lesson.run, models=models, spiral=spiral),
        breaks=[broken for broken in lesson.breaks if broken.framework != framework],
        absent_breaks={b.name: "" for b in lesson.breaks if b.framework == framework},
    )


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_missing_framework_leaves_a_column_that_says_so(lesson, opened, tmp_path, framework):
    """The column says what is missing and how to get it; the rest works."""
    path = tmp_path / "without.html"
    path.write_text(render(without(lesson, framework)), encoding="utf-8")
    page = opened(path)
    assert (
        f"pip install {framework}" in page.locator(f"#softmax-scores .column.{framework}").inner_text()
    )
    page.locator("#step").fill("2")
    assert page.locator("#softmax-scores .column.numpy li").count() == 3
    assert page.locator(".cell:visible").count() > 40


def test_the_reference_is_the_documents_run(lesson):
    """What the page shows of the reference is the note's run: its loss at steps 0 and 190."""
    run = lesson.run.models["softmax"]
    assert [f"{run.losses[i]:.6f}" for i in (0, 190)] == ["1.096919", "0.786302"]
