"""The note's listing, run as it stands, with every named quantity of every iteration.

data/document_listing.py.txt holds the code of the study note "cs231 backpropagation code"
(velog.io/@gmlwlswldbs, 2021-10-11, after Stanford's CS231n notes), character for character.

`verbatim` executes that text untouched. `listing` executes it as a generator. It adds statements
and alters none: each assignment is followed by a note of the value, and each iteration ends with
a `yield`. The pictures are left out.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import MagicMock, patch

import numpy as np

TEXT = (Path(__file__).parents[1] / "data" / "document_listing.py.txt").read_text(encoding="utf-8")
PARAMETERS = {"W", "b", "W2", "b2"}


def sized(points: int) -> str:
    """The listing with `points` points per class."""
    line = "N = 5 # number of points per class"
    assert TEXT.count(line) == 1
    return TEXT.replace(line, line.replace("5", str(points)))


def verbatim(points: int, seed: int = 0) -> tuple[dict[str, object], list[str]]:
    """Execute the listing untouched; return its variables and the lines it prints."""
    printed: list[str] = []
    variables: dict[str, object] = {"print": lambda value: printed.append(str(value))}
    pictures = {"matplotlib": MagicMock(), "matplotlib.pyplot": MagicMock()}
    np.random.seed(seed)
    with patch.dict(sys.modules, pictures):
        exec(sized(points), variables)
    return variables, printed


def listing(model: str, points: int, seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
    """Yield the quantities of each iteration of `model`'s loop, by name.

    The dictionary and its arrays are copies of the listing's, updated in place. It also holds what
    came before the loop: X, y, and the first W, b, W2, b2. After an update they are W_next and so on.
    """
    seen: dict[str, np.ndarray] = {}

    def note(name, value):
        if name in seen and seen[name].shape == np.shape(value):
            np.copyto(seen[name], value, casting="no")
        else:
            seen[name] = np.array(value)

    namespace = {"note": note, "print": lambda _: None}
    exec(instrumented(points), namespace)
    np.random.seed(seed)
    for _ in namespace["listing"]():
        running = "two_layer" if "hidden_layer" in seen else "softmax"
        if running == model:
            yield seen
        elif model == "softmax":
            return


def instrumented(points: int):
    """Compile the listing into a generator function that notes every assignment."""
    module = ast.parse("def listing(): pass")
    module.body[0].body = Instrument().visit(ast.parse(sized(points))).body
    return compile(ast.fix_missing_locations(module), "document_listing.py.txt", "exec")


class Instrument(ast.NodeTransformer):
    """Add a note after each assignment and a yield to each training loop; leave out the pictures."""

    def visit_Import(self, node):
        """Drop the imports of the pictures."""
        return None if "matplotlib" in ast.unparse(node) else node

    def visit_Expr(self, node):
        """Drop the calls that draw the pictures."""
        return None if ast.unparse(node).startswith("plt.") else node

    def visit_Assign(self, node):
        """Note the value right away: `dscores = probs` overwrites probs a line later."""
        name = base(node.targets[0])
        return [node, *ast.parse(f"note({name!r}, {name})").body]

    def visit_AugAssign(self, node):
        """Note the value after `+=` and its like; for a parameter, as the next one."""
        name = base(node.target)
        noted = f"{name}_next" if name in PARAMETERS else name
        return [node, *ast.parse(f"note({noted!r}, {name})").body]

    def visit_For(self, node):
        """Yield at the end of each iteration of `for i in range(...)`, the training loops."""
        self.generic_visit(node)
        if node.target.id == "i":
            node.body += ast.parse("yield").body
        return node


def base(target: ast.expr) -> str:
    """The variable that an assignment changes: dscores for `dscores[...]`."""
    return base(target.value) if isinstance(target, ast.Subscript) else target.id
