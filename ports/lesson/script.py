"""The lesson's script: its chapters and rows in the note's order, each row with its formula.

The words stand apart, in `ports/report/lesson/words`, under the keys that are used here. So do code and
numbers: the one is cut from the sources, the others come from a certified run.
"""

from typing import NamedTuple

from reference.models import SOFTMAX, TWO_LAYER, Model


class Row(NamedTuple):
    """A step of the mathematics: quantities, and their formula in LaTeX.

    Its words are `rows.{key}.title` and `rows.{key}.text`.
    """

    key: str
    quantities: tuple[str, ...]
    formula: str


class Chapter(NamedTuple):
    """A network of the note, row by row. Its words are `chapters.{model.name}`."""

    model: Model
    rows: tuple[Row, ...]


def gradient(of: str) -> str:
    """The gradient of the loss with respect to something, in LaTeX."""
    return rf"\frac{{\partial L}}{{\partial {of}}}"


#: The generator of the data. Arm j has the class j, and i counts its points.
SPIRAL = Row(
    "spiral",
    ("X",),
    r"\begin{array}{l} r_i = \frac{i}{N - 1} \\ t_{ij} = 4 (j + r_i) + 0.2\, \varepsilon_{ij} \\ "
    r"X_{ij} = (r_i \sin t_{ij},\; r_i \cos t_{ij}) \end{array}",
)

#: What both networks compute from the scores.
_PROBS = Row("probs", ("probs",), r"p_{ik} = \frac{e^{s_{ik}}}{\sum_c e^{s_{ic}}}")
_LOGPROBS = Row("correct_logprobs", ("correct_logprobs",), r"L_i = -\log p_{i, y_i}")
_DATA_LOSS = Row("data_loss", ("data_loss",), r"L_{\mathrm{data}} = \frac{1}{N} \sum_i L_i")
_LOSS = Row("loss", ("loss",), r"L = L_{\mathrm{data}} + L_{\mathrm{reg}}")
_DSCORES = Row(
    "dscores",
    ("dscores",),
    gradient("s_{ik}") + r" = \frac{1}{N} \left( p_{ik} - [k = y_i] \right)",
)

SOFTMAX_CHAPTER = Chapter(
    SOFTMAX,
    (
        Row("scores", ("scores",), r"s = X W + b"),
        _PROBS,
        _LOGPROBS,
        _DATA_LOSS,
        Row("reg_loss", ("reg_loss",), r"L_{\mathrm{reg}} = \frac{\lambda}{2} \sum W^2"),
        _LOSS,
        _DSCORES,
        Row("dW", ("dW",), gradient("W") + r" = X^{\mathsf{T}} " + gradient("s") + r" + \lambda W"),
        Row("db", ("db",), gradient("b") + r" = \sum_i " + gradient("s_i")),
        Row("update", ("W_next", "b_next"), r"W \leftarrow W - \eta \, " + gradient("W")),
    ),
)

TWO_LAYER_CHAPTER = Chapter(
    TWO_LAYER,
    (
        Row("hidden_layer", ("hidden_layer",), r"h = \max(0,\; X W + b)"),
        Row("scores2", ("scores",), r"s = h \, W_2 + b_2"),
        _PROBS,
        _LOGPROBS,
        _DATA_LOSS,
        Row(
            "reg_loss2",
            ("reg_loss",),
            r"L_{\mathrm{reg}} = \frac{\lambda}{2} \sum W^2 + \frac{\lambda}{2} \sum W_2^2",
        ),
        _LOSS,
        _DSCORES,
        Row(
            "dW2", ("dW2",), gradient("W_2") + r" = h^{\mathsf{T}} " + gradient("s") + r" + \lambda W_2"
        ),
        Row("db2", ("db2",), gradient("b_2") + r" = \sum_i " + gradient("s_i")),
        Row(
            "dhidden",
            ("dhidden",),
            gradient("a") + r" = \left( " + gradient("s") + r" W_2^{\mathsf{T}} \right) \odot [h > 0]",
        ),
        Row(
            "dW_hidden", ("dW",), gradient("W") + r" = X^{\mathsf{T}} " + gradient("a") + r" + \lambda W"
        ),
        Row("db_hidden", ("db",), gradient("b") + r" = \sum_i " + gradient("a_i")),
        Row(
            "update2",
            ("W_next", "b_next", "W2_next", "b2_next"),
            r"W \leftarrow W - \eta \, " + gradient("W"),
        ),
    ),
)

CHAPTERS = (SOFTMAX_CHAPTER, TWO_LAYER_CHAPTER)
