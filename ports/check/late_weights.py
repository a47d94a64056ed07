"""The weights late in the note's long run, recorded: the way there takes longer than all judging.

    python -m ports.check.late_weights

records them anew. They are of the note's larger size. A step may be judged from any weights, so those of
another machine do, though two machines' runs differ late by rounding.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path

import numpy as np

from reference.arrays import Params, Plain
from reference.models import MODELS, OWN_MODELS, Model
from reference.runs import POINTS, draw, trajectory

FILE = Path(__file__).with_suffix(".npz")
#: The points per class and the seed of the recorded run.
DRAWN = POINTS[1], 0
#: A shorter run is walked as fast as it is loaded.
LONG = 1000


@cache
def late_weights(model: Model) -> dict[int, dict[str, Plain]]:
    """The recorded parameters of a model, by the step of the note's run that starts from them."""
    found: dict[int, dict[str, Plain]] = {}
    if model.name in OWN_MODELS and model.iterations > LONG:
        with np.load(FILE) as recorded:
            for key in recorded:
                name, step, parameter = key.split()
                if name == model.name:
                    found.setdefault(int(step), {})[parameter] = recorded[key]
    return found


def walked(model: Model, steps: Collection[int]) -> dict[int, Params]:
    """The parameters from which the reference's own run makes these steps."""
    points, seed = DRAWN
    problem = draw(np.random.RandomState(seed), points).problem(model)
    return {i: at.params for i, at, _ in trajectory(problem, max(steps) + 1) if i in steps}


def main() -> None:
    """Record what `lockstep check` judges by default, but for the first steps."""
    from ports.check.results import FIRST_STEPS, steps_of  # it imports this module

    models = [MODELS[name] for name in sorted(OWN_MODELS) if MODELS[name].iterations > LONG]
    np.savez_compressed(
        FILE,
        allow_pickle=False,
        **{
            f"{model.name} {i} {name}": value
            for model in models
            for i, params in walked(
                model, set(steps_of(model.iterations, None)) - set(range(FIRST_STEPS))
            ).items()
            for name, value in params.items()
        },
    )


if __name__ == "__main__":
    main()
