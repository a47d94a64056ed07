"""The lesson as one HTML file: nothing is loaded from elsewhere, and it reads without JavaScript."""

import json
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from ports.contract import Framework, Port
from ports.engine.results import quantities_of
from ports.lesson.breaks import Break
from ports.lesson.lesson import FRAMEWORKS, REFERENCE, Lesson, loop_code
from ports.lesson.run import ModelRun, Quantities
from ports.lesson.script import CHAPTERS, SPIRAL
from ports.report.lesson.charts import Series, chart
from ports.report.lesson.figures import rounding_figures
from ports.report.lesson.numbers import FOLLOWED, Numbers, numbers_of
from ports.report.lesson.pictures import decisions
from ports.report.lesson.words import LANGUAGES, plain, say
from reference.runs import accuracy

#: The letters of the spiral's shapes.
SPIRAL_SHAPES = {"X": "ND", "y": "N"}
#: How many points of a loss curve are drawn.
DRAWN = 200


def render(lesson: Lesson) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(say=say, languages=LANGUAGES, formula=formula)
    page: str = environment.get_template("page.html.j2").render(
        page=Page(lesson),
        lesson=lesson,
        rounding=lesson.rounding,
        golden=lesson.golden,
        figures={language: rounding_figures(lesson.rounding, plain(language)) for language in LANGUAGES},
    )
    return page


def formula(latex: str) -> Markup:
    """A formula as MathML, which browsers draw without a font of its own."""
    return Markup(convert(latex, display="block"))


class Page:
    """What the template asks for, over the lesson's own data."""

    frameworks = FRAMEWORKS
    reference = REFERENCE
    chapters = CHAPTERS
    spiral = SPIRAL
    followed = FOLLOWED

    def __init__(self, lesson: Lesson) -> None:
        self.lesson, self.run = lesson, lesson.run

    def ports_of(self, framework: Framework) -> list[Port]:
        """A framework's ports in the lesson; none where the framework is absent."""
        return [port for port in framework.ports if port.name in self.run.spiral.ports]

    @cached_property
    def numbers(self) -> dict[str, dict[str, list[Numbers]]]:
        """By part of the note and quantity: the numbers at each shown step."""
        spiral: list[Quantities] = [self.run.spiral]
        parts = {SPIRAL.key: {"X": numbers_of("X", SPIRAL_SHAPES, spiral)}}
        for name, run in self.run.models.items():
            shapes = run.model.quantities
            parts[name] = {quantity: numbers_of(quantity, shapes, run.snapshots) for quantity in shapes}
        return parts

    @cached_property
    def positions(self) -> list[dict[str, int]]:
        """For each place of the slider, the index of the shown step of each model."""
        counts = {name: len(run.snapshots) for name, run in self.run.models.items()}
        return [
            {name: min(i, count - 1) for name, count in counts.items()}
            for i in range(max(counts.values()))
        ]

    def shape(self, part: str, quantity: str) -> str:
        """The shape of a quantity, as NumPy prints it."""
        step = self.run.spiral if part == SPIRAL.key else self.run.models[part].snapshots[0]
        return str(np.shape(step.reference[quantity]))

    def hidden(self, port: str, quantity: str) -> str:
        """Why a port does not show a quantity; empty if it does."""
        return self.run.hidden[port].get(quantity, "")

    def points(self) -> list[tuple[float, float, int]]:
        """Every example: where it is drawn, y downwards, and its class."""
        X, y = self.run.spiral.reference["X"], self.run.spiral.reference["y"]
        return [(float(a), -float(b), int(label)) for (a, b), label in zip(X, y, strict=True)]

    def reach(self) -> float:
        """How far the pictures of the plane reach from the origin."""
        run = next(iter(self.run.models.values()))
        return float(run.snapshots[0].map.xx.max())

    @cached_property
    def maps(self) -> dict[str, list[str]]:
        """By model: the map of its decisions at each shown step."""
        models = self.run.models.items()
        return {name: [decisions(snapshot.map) for snapshot in run.snapshots] for name, run in models}

    def now(self, model: str, i: int) -> dict[str, str]:
        """Step, loss and accuracy at a shown step."""
        run = self.run.models[model]
        return now(run, i, self.run.spiral.reference["y"])

    def loss_chart(self, model: str) -> Markup:
        """The loss of a whole run, over the number of the update: 1 is the first."""
        run = self.run.models[model]
        last = len(run.losses)
        at = np.unique(np.geomspace(1, last, min(DRAWN, last)).round().astype(int))
        line = Series("loss", [float(i) for i in at], [float(run.losses[i - 1]) for i in at])
        return Markup(
            chart(
                [line],
                title=f"{run.model.title}: loss",
                description=f"From {run.losses[0]:.4g} at step 0 to {run.losses[-1]:.4g} at the last.",
                x_label="step + 1",
                y_label="loss",
                log_x=True,
                width=520,
            )
        )

    def break_chart(self, broken: Break) -> Markup:
        """The loss of a broken port that trains by itself, beside the reference's."""
        lines = [
            Series(label, [float(i) for i in range(len(losses))], losses, dashes)
            for label, losses, dashes in (
                ("right", broken.losses.reference, ""),
                ("broken", broken.losses.port, "6 4"),
            )
        ]
        return Markup(
            chart(
                lines,
                title=f"{broken.name}: loss",
                description="The loss of the broken port, trained by itself, beside the right one.",
                x_label="step",
                y_label="loss",
                width=520,
                height=240,
            )
        )

    def states(self, broken: Break) -> list[tuple[str, str]]:
        """What a break does to each quantity of its part: right, wrong or follows."""
        return [(name, broken.states.get(name, "right")) for name in quantities_of(broken.model)]

    def loop(self) -> Any:
        """The reference's training loop."""
        return loop_code()

    def style(self) -> Markup:
        """The style sheet."""
        return Markup(_text("lesson.css"))

    def script(self) -> Markup:
        """The script."""
        return Markup(_text("lesson.js"))

    def data(self) -> Markup:
        """What the script needs, as JSON that may stand in an HTML element."""
        models = {
            name: {
                "now": [self.now(name, i) for i in range(len(run.snapshots))],
                "maps": self.maps[name],
                "numbers": {
                    quantity: [numbers.as_json() for numbers in of_steps]
                    for quantity, of_steps in self.numbers[name].items()
                },
            }
            for name, run in self.run.models.items()
        }
        spiral = {"numbers": {"X": [n.as_json() for n in self.numbers[SPIRAL.key]["X"]]}}
        breaks = {
            b.name: {"port": b.port, "model": b.model, "states": dict(b.states)}
            for b in self.lesson.breaks
        }
        everything = {
            "positions": self.positions,
            "followed": FOLLOWED,
            "parts": {SPIRAL.key: spiral, **models},
            "breaks": breaks,
        }
        return Markup(json.dumps(everything, separators=(",", ":")).replace("<", "\\u003c"))


def now(run: ModelRun, i: int, y: Any) -> dict[str, str]:
    """Step, loss and accuracy at a shown step, as words."""
    snapshot = run.snapshots[i]
    share = accuracy(snapshot.reference["scores"], y)
    return {
        "step": str(snapshot.step),
        "loss": f"{float(snapshot.reference['loss']):.6f}",
        "accuracy": f"{100 * share:.1f}",
    }


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
