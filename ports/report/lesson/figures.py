"""The charts of the section on rounding, from its data, with the words of one language."""

from collections.abc import Callable

from ports.lesson.rounding import Errors, Rounding
from ports.report.lesson.charts import Series, chart

#: From the key of some words to these words in one language.
Words = Callable[[str], str]

#: The ports' dashes, in their order.
DASHES = ("7 3", "2 3", "9 3 2 3")


def rounding_figures(rounding: Rounding, words: Words) -> dict[str, str]:
    """Each chart of the section as an `<svg>` element, by its name: each quantity, and `drift`."""
    errors = {one.quantity: errors_chart(one, words) for one in rounding.errors}
    return errors | {"drift": drift_chart(rounding, words)}


def errors_chart(errors: Errors, words: Words) -> str:
    """The bound and the ports' errors over the run."""
    steps = list(errors.steps)
    ports = zip(errors.errors.items(), DASHES, strict=False)
    return chart(
        [
            Series(words("rounding.errors.bound"), steps, errors.bound),
            *(Series(port, steps, of_port, dashes) for (port, of_port), dashes in ports),
        ],
        title=words(f"rounding.errors.{errors.quantity}"),
        description=words("rounding.errors.description"),
        x_label=words("rounding.errors.x"),
        y_label=words("rounding.errors.y"),
        log_x=True,
        log_y=True,
    )


def drift_chart(rounding: Rounding, words: Words) -> str:
    """The ports' distances from the reference, the noise floor, and what is allowed."""
    first = rounding.drifts[0]
    updates = range(1, len(first.distances) + 1)
    floor, allowed = first.floor.distances.tolist(), first.allowed.tolist()
    ports = zip(rounding.drifts, DASHES, strict=False)
    series = [
        Series(words("rounding.drift.floor"), updates, floor),
        *(Series(d.cell.port, updates, d.distances.tolist(), dashes) for d, dashes in ports),
        Series(words("rounding.drift.allowed"), updates, allowed, "12 4"),
    ]
    if rounding.first_flip:
        _, flip = rounding.first_flip
        ends = [min(floor), max(allowed)]
        series.append(Series(words("rounding.drift.flip"), [flip.step] * 2, ends, "1 4"))
    return chart(
        series,
        title=words("rounding.drift.chart"),
        description=words("rounding.drift.description"),
        x_label=words("rounding.drift.x"),
        y_label=words("rounding.drift.y"),
        log_x=True,
        log_y=True,
        height=380,
    )
