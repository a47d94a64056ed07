"""A trap from outside the project: one line of the boxed port, written wrong."""

import boxed  # noqa: F401 (registers the port that the trap is made from)

from ports.traps import Trap, register

register(
    Trap(
        "boxed_mask_missing",
        "boxed_manual",
        "two_layer",
        right="dhidden = boxed.where_positive(hidden_layer, dscores @ W2.T)",
        wrong="dhidden = dscores @ W2.T",
        blames="dhidden",
        cause="mask missing",
        meant="The ReLU passes a gradient only where it is on.",
    )
)
