"""The conventions that are known, as data: to teach the project another one, add a record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ports.messages import unknown
from reference.arrays import Plain


class Layout(NamedTuple):
    """Other shapes than the note's for the same numbers.

    `given(array, letters)` turns an array of the note's shape, in letters, into what a step is given.
    `returned` turns what it should return into the note's shape, and anything else into another one.
    """

    given: Callable[[Plain, str], Plain]
    returned: Callable[[Plain, str], Plain]


@dataclass(frozen=True)
class Convention:
    """One way in which a whole step may differ from the note's.

    Attributes:
        name, value: what the user writes, name=value. A step follows one value of a name.
        says: a phrase that completes "consistent with ...".
        instead: what makes the step the note's, as an instruction.
        edits: `pattern -> replacement`, as in `ports.diagnosis.grammar`, for the lines of the model's
            step with their taps. `{weights}` is each regularized and `{bias}` each other parameter.
        gradient, update: the regularization strength, in the note's, that the loss and the gradients
            have, and that the whole update has.
        times_examples: the quantities whose own operation gives N times the note's.
        regularizes_all: whether the biases are regularized as the weights are.
        layout: other shapes, if it has them. They are no edit of the step.
    """

    name: str
    value: str
    says: str
    instead: str
    edits: tuple[str, ...] = ()
    gradient: float = 1.0
    update: float = 1.0
    times_examples: tuple[str, ...] = ()
    regularizes_all: bool = False
    layout: Layout | None = None

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


Conventions: TypeAlias = tuple[Convention, ...]

#: What the loss and the gradients lack where nothing is regularized in them.
_NO_REG = ("_a + reg * _n -> _a", "0.5 * reg -> 0 * reg")

_FLAT = Layout(
    given=lambda array, letters: array[0] if letters.startswith("1") else array,
    returned=lambda array, letters: array[None] if letters.startswith("1") else array,
)
_COLUMNS = Layout(given=lambda array, letters: array.T, returned=lambda array, letters: array.T)

#: In the order in which their edits are made.
#: Sources: the course's assignments have had no half since 2017, its notes do (cs231n.github.io#89); its
#: own check passes without any regularization, since that is 5e-6 there (cs231n.github.io#253).
CONVENTIONS: Conventions = (
    Convention(
        "regularized",
        "all",
        says="biases that are regularized as the weights are",
        instead="leave the biases out of loss and gradient",
        edits=(
            "tap('reg_loss', _r) -> tap('reg_loss', _r + 0.5 * reg * np.sum({bias} * {bias}))",
            "tap('d{bias}', _g) -> tap('d{bias}', _g + reg * {bias})",
        ),
        regularizes_all=True,
    ),
    Convention(
        "mean",
        "late",
        says="a division by N that comes last: the gradient on the scores is N times larger, the "
        "parameters' gradients are right",
        instead="divide dscores by N, and not what follows",
        edits=(
            "_q /= num_examples -> pass",
            "np.dot(_a.T, _b) -> np.dot(_a.T, _b) / num_examples",
            "np.sum(_a, axis=0, keepdims=True) -> np.sum(_a, axis=0, keepdims=True) / num_examples",
        ),
        times_examples=("dscores",),
    ),
    Convention(
        "mean",
        "sum",
        says="a loss that is summed over the examples, with the gradient of the sum",
        instead="divide the loss and dscores by N",
        edits=("_q /= num_examples -> pass", "np.sum(_a) / num_examples -> np.sum(_a)"),
        times_examples=("data_loss", "dscores"),
    ),
    Convention(
        "reg",
        "full",
        says="the assignment's convention, reg*sum(W*W)",
        instead="pass reg/2",
        edits=("_a + reg * _n -> _a + 2 * reg * _n", "0.5 * reg -> reg"),
        gradient=2.0,
        update=2.0,
    ),
    Convention(
        "reg",
        "none",
        says="no regularization at all, which a check with a tiny reg (5e-6, say) does not show",
        instead="add it to loss and gradient",
        edits=_NO_REG,
        gradient=0.0,
        update=0.0,
    ),
    Convention(
        "reg",
        "optimizer",
        says="weight decay in the optimizer: loss and gradient have no regularization, the update has",
        instead="add it to loss and gradient",
        edits=(
            *_NO_REG,
            "tap('{weights}_next', _w + -step_size * _g) -> "
            "tap('{weights}_next', _w + -step_size * (_g + reg * _w))",
        ),
        gradient=0.0,
    ),
    Convention(
        "bias",
        "flat",
        says="biases of shape (K,), not (1, K)",
        instead="give sums over the examples keepdims=True",
        layout=_FLAT,
    ),
    Convention(
        "layout",
        "columns",
        says="examples as columns: scores of shape (K, N), weights of shape (H, D)",
        instead="take examples as rows",
        layout=_COLUMNS,
    ),
)

#: The same by what the user writes.
BY_WORD: Mapping[str, Convention] = {str(convention): convention for convention in CONVENTIONS}


def convention(word: str) -> Convention:
    """The convention that is written so. Raises ValueError, with the known ones."""
    if word not in BY_WORD:
        raise ValueError(unknown("convention", word, BY_WORD))
    return BY_WORD[word]


def together(conventions: Iterable[Convention]) -> Conventions:
    """Conventions that are followed together, in the order of `CONVENTIONS`.

    Raises ValueError if a name has two values.
    """
    chosen = set(conventions)
    for one in chosen:
        for other in chosen:
            if str(one) < str(other) and one.name == other.name:
                raise ValueError(f"a step cannot follow both {one} and {other}: choose one of them")
    return tuple(known for known in CONVENTIONS if known in chosen)
