"""The data: three arms from the origin, turned by the noise."""

import numpy as np
import pytest

from reference.runs import POINTS, K
from reference.spiral import spiral

each_points = pytest.mark.parametrize("points", POINTS, ids="{}_points".format)


@each_points
def test_spiral_is_one_arm_a_class(points):
    """The points come class by class, labels uint8, radius from 0 to 1 in even steps."""
    X, y = spiral(np.random.RandomState(0).standard_normal((K, points)))
    assert X.shape == (K * points, 2)
    assert y.dtype == np.uint8
    assert y.tolist() == [j for j in range(K) for _ in range(points)]
    # sin and cos are good to 4 ulps, 8 roundings; products and hypot add fewer than 5
    radius = np.tile(np.linspace(0, 1, points), K)
    assert (np.abs(np.hypot(*X.T) - radius) <= (8 + 5) * 2.0**-53 * radius).all()


@each_points
def test_arms_start_at_the_origin(points):
    """The first point of each class is the origin, exactly: a tie for every hidden unit."""
    X, _ = spiral(np.random.RandomState(0).standard_normal((K, points)))
    assert (X[::points] == 0).all()
    assert (X[1::points] != 0).all()


def test_spiral_without_noise_turns_four_radians_an_arm():
    """Without noise, arm j ends at angle 4(j + 1) and radius 1, and noise turns it by 0.2 a unit."""
    X, _ = spiral(np.zeros((K, 7)))
    turned, _ = spiral(np.ones((K, 7)))
    for j, end in enumerate([4, 8, 12]):
        assert X[7 * j + 6].tolist() == [np.sin(end), np.cos(end)]
        assert turned[7 * j + 6].tolist() == [np.sin(end + 0.2), np.cos(end + 0.2)]
