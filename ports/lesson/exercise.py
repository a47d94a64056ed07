"""The exercise: a file with the steps of the note's networks, in which every quantity is left to write.

`lockstep check --partial` judges the file as it stands: first nothing, then one quantity more each time.
"""

from collections.abc import Iterator
from pathlib import Path

from ports.check.template import HINTS, head_of_step, shape_of, write_new
from ports.contract import Framework
from ports.messages import both
from reference.line import ingredients
from reference.models import MODELS, Model

_EXERCISE = '''\
"""An exercise: the note's networks, one quantity after another.

Replace a TODO by the right-hand side of its line. More lines before it are welcome. Then run

    lockstep check --partial {file}

which says whether all that you have written is right, and what comes next.

Shapes: N examples, D dimensions, H hidden units, K classes; y holds labels 0..K-1.
{given}
"""

{imports}

framework = "{name}"

TODO = None


def written(**quantities):
    """The quantities that are written already."""
    return {{name: value for name, value in quantities.items() if value is not TODO}}


{steps}'''


def write_exercise(path: Path, framework: Framework) -> None:
    """Write the exercise to a new file.

    Raises ValueError if the path exists or is not a .py file, OSError if it cannot be written.
    """
    write_new(path, exercise(path.name, framework))


def exercise(file: str, framework: Framework) -> str:
    """The text of an exercise, with a step for each model."""
    fields = framework.template
    return _EXERCISE.format(
        file=file,
        given=fields.given,
        imports=fields.imports,
        name=framework.name,
        steps="\n\n".join("\n".join(_step(model)) + "\n" for model in MODELS.values()),
    )


def _step(model: Model) -> Iterator[str]:
    """The lines of a step in which no quantity is computed."""
    yield from head_of_step(model)
    yield "    num_examples = X.shape[0]"
    yield ""
    for name, letters in model.quantities.items():
        shape = shape_of(letters) if letters else "a number"
        hint = f": {HINTS[name]}" if name in HINTS else ""
        yield f"    {name} = TODO  # {shape}, from {both(ingredients(model.name, name))}{hint}"
    yield ""
    yield "    return written("
    yield from (f"        {name}={name}," for name in model.quantities)
    yield "    )"
