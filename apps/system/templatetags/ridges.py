"""The artwork behind log-in, set-up and error pages: ridgelines that dissolve into fog."""

from __future__ import annotations

import functools
import math
import random

from django.utils.safestring import SafeString, mark_safe

_LAYERS = 5
_STEPS = 96
_WAVES = ((1.1, 1.0), (2.3, 0.55), (4.7, 0.24), (9.1, 0.10), (19.0, 0.045))
"""Frequency and height of the waves that make one ridge."""


def _ridge(rnd: random.Random, height: float) -> list[float]:
    """Offsets from the ridge's base line, left to right."""
    waves = [
        (rnd.uniform(0.7, 1.3) * frequency, rnd.uniform(0, math.tau), share)
        for frequency, share in _WAVES
    ]

    def at(u: float) -> float:
        return sum(
            share * (1 - 2 * abs(math.sin(f * u * math.pi + phase)))
            if f > 2
            else share * math.sin(f * u * math.tau + phase)
            for f, phase, share in waves
        )

    raw = [height * at(i / _STEPS) for i in range(_STEPS + 1)]
    around = [raw[max(0, i - 1) : i + 2] for i in range(len(raw))]
    return [sum(near) / len(near) for near in around]


@functools.cache
def ridges(
    seed: str,
    width: int = 800,
    height: int = 1000,
    first: int = 470,
    last: int = 850,
    swing: int = 62,
) -> SafeString:
    """An SVG of five ridges between the heights `first` and `last`; the same for the same seed."""
    rnd = random.Random(seed)
    gradients, paths = [], []
    for layer in range(_LAYERS):
        share = layer / (_LAYERS - 1)
        base = first + (last - first) * share**0.92
        line = [base - offset for offset in _ridge(rnd, swing * (1.15 - 0.45 * share))]
        fade = 0.34 if layer < _LAYERS - 1 else 0.5
        end = min(height, base + (height - first) * fade)
        name = f"ridge-{seed}-{layer}"
        gradients.append(
            f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="0" x2="0" '
            f'y1="{min(line):.0f}" y2="{end:.0f}">'
            f'<stop offset="0" stop-color="var(--mist-{layer + 1})"/>'
            '<stop offset="1" stop-color="var(--fog)"/></linearGradient>'
        )
        points = " ".join(f"L{i * width / _STEPS:.0f} {y:.1f}" for i, y in enumerate(line))
        paths.append(f'<path fill="url(#{name})" d="M0 {height} {points} L{width} {height} Z"/>')
    return mark_safe(  # noqa: S308 - made of numbers and our own templates' seeds
        f'<svg class="mist-art" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'aria-hidden="true"><defs>{"".join(gradients)}</defs>{"".join(paths)}</svg>'
    )
