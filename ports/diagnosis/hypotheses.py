"""The mistakes that a diagnosis considers. Each predicts what the port would have computed.

Most run the reference's own step on the port's recorded tensors with one operand exchanged.
So a prediction comes with the bound of its own operation.
"""

from ports.diagnosis.case import Case, Hypothesis, Suspicion
from ports.diagnosis.network import (
    activations,
    clipped,
    detached,
    dropout,
    epsilon,
    labels,
    leaky,
    masks,
    softmax_variants,
)
from ports.diagnosis.operands import exchanged, other_weights, overwritten, permuted, transposed
from ports.diagnosis.precision import (
    a_few_roundings,
    float32_residue,
    flushed,
    lower_precision,
    not_finite,
    rounded_products,
)
from ports.diagnosis.terms import (
    constant_factor,
    fitted_factor,
    last_step,
    missing_bias,
    regularization,
    regularized_parameters,
    zero,
)

__all__ = ["LOOSE", "SUSPECTS", "Case", "Hypothesis", "Suspicion", "not_finite"]

#: Hypotheses without a fitted number: if exactly one of them fits, the answer is certain.
SUSPECTS: tuple[Hypothesis, ...] = (
    regularization,
    constant_factor,
    zero,
    regularized_parameters,
    missing_bias,
    last_step,
    labels,
    softmax_variants,
    detached,
    masks,
    activations,
    overwritten,
    transposed,
    permuted,
    exchanged,
    epsilon,
    dropout,
    flushed,
    float32_residue,
    rounded_products,
)

#: Hypotheses with a fitted number: if one of them fits, the answer stays uncertain.
LOOSE: tuple[Hypothesis, ...] = (
    fitted_factor,
    leaky,
    clipped,
    other_weights,
    lower_precision,
    a_few_roundings,
)
