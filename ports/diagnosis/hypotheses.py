"""The mistakes that a diagnosis considers, each as what the port would have computed.

Most are the reference's own step with one operand exchanged, run on the port's own recorded
tensors, so that a prediction comes with the bound of its own operation.
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

#: Without a free number: one of them alone, fitting, is a certain answer.
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

#: With one: what fits is said, and left open.
LOOSE: tuple[Hypothesis, ...] = (
    fitted_factor,
    leaky,
    clipped,
    other_weights,
    lower_precision,
    a_few_roundings,
)
