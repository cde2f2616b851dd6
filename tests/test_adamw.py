"""AdamW against the textbook, written once more from the paper with nothing shared."""

import math

import numpy as np
import pytest

from minilora.adamw import adamw_step, clip

RATE, DECAY, BETA1, BETA2, EPSILON = 0.1, 0.2, 0.8, 0.95, 1e-3


def textbook(theta, gradients):
    """Loshchilov and Hutter 2019, algorithm 2, with a schedule of 1, for one number: theta after each of the gradients."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = BETA1 * m + (1 - BETA1) * g
        v = BETA2 * v + (1 - BETA2) * g**2
        theta = theta - RATE * (m / (1 - BETA1**t)) / (math.sqrt(v / (1 - BETA2**t)) + EPSILON) - RATE * DECAY * theta
    return theta


def test_seven_steps_are_those_of_the_textbook():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=5), rng.normal(size=(7, 5))
    p, m, v = start.copy(), np.zeros(5), np.zeros(5)
    for t, g in enumerate(gradients, start=1):
        adamw_step(p, g, m, v, t, RATE, DECAY, BETA1, BETA2, EPSILON)
    assert p == pytest.approx([textbook(start[i], gradients[:, i]) for i in range(5)], rel=1e-14)


def test_the_first_step_has_the_size_of_the_rate_whatever_the_gradient():
    p, g = np.array([1.0, 1.0, 1.0]), np.array([3.0, -0.02, 7e5])
    adamw_step(p, g, np.zeros(3), np.zeros(3), 1, rate=0.1, epsilon=0)
    assert p == pytest.approx([0.9, 1.1, 0.9], rel=1e-15)


def test_the_decay_is_decoupled():
    """Without a gradient a number shrinks by rate x decay, and the moments never hear of it."""
    p, m, v = np.array([2.0]), np.zeros(1), np.zeros(1)
    adamw_step(p, np.zeros(1), m, v, 1, rate=0.1, decay=0.5)
    assert p == pytest.approx([2 * 0.95], rel=1e-15) and m == v == 0


def test_what_has_no_gradient_stays_where_it_is_and_its_neighbour_moves():
    p = np.array([0.3, 0.3])
    adamw_step(p, np.array([0.0, 1.0]), np.zeros(2), np.zeros(2), 1, rate=0.1)
    assert p[0] == 0.3 and p[1] != 0.3


def test_groups_have_rates_and_decays_of_their_own():
    g, rates, decays = np.array([0.5, 0.5, 0.5]), np.array([0.1, 0.2, 0.0]), np.array([0.0, 0.3, 0.4])
    p = np.ones(3)
    adamw_step(p, g, np.zeros(3), np.zeros(3), 1, rates, decays, epsilon=0)
    assert p == pytest.approx([1 - 0.1, 1 - 0.2 * 0.3 - 0.2, 1], rel=1e-15)


def test_a_long_gradient_is_clipped_and_a_short_one_left_alone():
    g = np.array([3.0, 4.0])
    assert clip(g, 2.5) == 5 and g == pytest.approx([1.5, 2.0], rel=1e-15)
    assert clip(g, 2.6) == pytest.approx(2.5) and g == pytest.approx([1.5, 2.0], rel=1e-15)
