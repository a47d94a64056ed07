"""The reference as a port of itself: in float64 it checks the machinery, in float32 the dtype."""

from collections.abc import Mapping

from reference import softmax, two_layer
from reference.arrays import Array, Plain
from reference.spiral import spiral as reference_spiral
from reference.trace import Trace


def spiral(noise: Plain) -> tuple[Plain, Plain]:
    """The reference's spiral; linspace is float64, so the points are rounded to the noise's dtype."""
    X, y = reference_spiral(noise)
    return X.astype(noise.dtype), y


def softmax_step(
    params: Mapping[str, Plain], X: Plain, y: Plain, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the linear classifier."""
    trace = Trace()
    softmax.step(params, X, y, reg, step_size, trace.tap)
    return trace


def two_layer_step(
    params: Mapping[str, Plain], X: Plain, y: Plain, reg: float, step_size: float
) -> dict[str, Array]:
    """One step of the two-layer net."""
    trace = Trace()
    two_layer.step(params, X, y, reg, step_size, trace.tap)
    return trace
