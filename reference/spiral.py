"""The spiral data set (the note, section 1).

The noise is an argument, not drawn here: every framework's random stream is
different, so a port can only build the same data from the same draws.
"""

from collections.abc import Callable

import numpy as np

from reference.arrays import Array, Plain


def spiral(
    noise: Array, linspace: Callable[[float, float, int], Array] = np.linspace
) -> tuple[Array, Plain]:
    """The note's interleaved spirals, one arm per class.

    Args:
        noise: (K, N) standard normal draws, one row per class.
        linspace: NumPy's by default; the error analysis passes one that carries its rounding.

    Returns:
        X (N*K, 2), one row per point; y (N*K,) uint8, the class of each point.
    """
    K, N = noise.shape
    arms = []
    for j in range(K):
        r = linspace(0.0, 1, N)  # radius
        t = linspace(j * 4, (j + 1) * 4, N) + noise[j] * 0.2  # theta
        arms.append(np.stack([r * np.sin(t), r * np.cos(t)], axis=1))
    return np.concatenate(arms), np.repeat(np.arange(K, dtype="uint8"), N)
