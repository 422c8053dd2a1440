#!/usr/bin/env python3
"""Golden values for libs/leak, from implementations that are not ours.

    python3 -m venv /tmp/oracle && /tmp/oracle/bin/pip install scipy==1.17.1 pymannkendall==1.4.3
    /tmp/oracle/bin/python tools/leak-oracle.py > libs/leak/testdata/trend-oracle.json

Kendall's S, its variance and Z, and the regional test come from pyMannKendall; the Theil-Sen slope and its interval
from scipy.stats.theilslopes; the autocorrelation of the residuals and the BIC of the curves from numpy's least squares.
"""

import json
import math

import numpy as np
import pymannkendall as mk
from scipy import stats

TIME_CONSTANTS = [0.08, 0.14, 0.25, 0.45, 0.8]


def series():
    rng = np.random.default_rng(20250106)
    steps = np.arange(60)
    yield "white noise", steps, np.round(rng.normal(1000, 50, 60))
    yield "line with noise", steps, np.round(1000 + 7 * steps + rng.normal(0, 20, 60))
    yield "line without noise", steps, 1000.0 + 4096 * steps
    yield "many ties", steps, np.floor(steps / 9) * 4096 + 8192 * (rng.random(60) < 0.2)
    yield "all equal", steps, np.full(60, 4096.0)
    ar = np.zeros(72)
    for i in range(1, 72):
        ar[i] = 0.85 * ar[i - 1] + rng.normal(0, 30)
    yield "autocorrelated", np.arange(72), np.round(5000 + ar, 3)
    yield "autocorrelated with trend", np.arange(72), np.round(5000 + 9 * np.arange(72) + ar, 3)
    holes = np.sort(rng.choice(72, 40, replace=False))
    yield "with holes", holes, np.round(2000 + 3 * holes + rng.normal(0, 15, 40), 3)
    yield "falling", steps, np.round(9000 - 11 * steps + rng.normal(0, 60, 60), 3)
    yield "warm-up", steps, np.round(1000 + 900 * (1 - np.exp(-steps / 14)) + rng.normal(0, 12, 60), 3)
    yield "accelerating", steps, np.round(1000 + 0.4 * steps**2 + rng.normal(0, 12, 60), 3)
    yield "a dozen", np.arange(12), np.array([5, 3, 8, 9, 9, 12, 11, 15, 14, 18, 20, 19], dtype=float)


def parabola_autocorrelation(t, v):
    x = t - t.mean()
    residual = v - np.polyval(np.polyfit(x, v, 2), x)
    squares = float((residual**2).sum())
    if squares <= float((v**2).sum()) * 1e-20:
        return 0.0
    return min(0.9, max(0.0, float((residual[1:] * residual[:-1]).sum()) / squares))


def squares_of(x, v):
    design = np.column_stack([np.ones(len(x)), x])
    solution, *_ = np.linalg.lstsq(design, v, rcond=None)
    return float(((v - design @ solution) ** 2).sum()), float(solution[1])


def saturation(t, v, effective):
    span = t[-1] - t[0]
    x = (t - t[0]) / span
    line, _ = squares_of(x, v)
    curves = [squares_of(1 - np.exp(-x / share), v) for share in TIME_CONSTANTS]
    rising = [squares for squares, gain in curves if gain > 0]
    if line <= float((v**2).sum()) * 1e-20 or not rising:
        return 0.0
    return effective * math.log(line / max(min(rising), line * 1e-6)) - math.log(max(2, effective))


def main():
    cases = []
    for name, t, v in series():
        test = mk.original_test(v)
        slope = stats.theilslopes(v, t, alpha=0.95)
        cases.append(
            {
                "name": name,
                "t": [int(x) for x in t],
                "v": [float(x) for x in v],
                "score": float(test.s),
                "variance": float(test.var_s),
                "z": float(test.z),
                "slope": float(slope.slope),
                "low": float(slope.low_slope),
                "high": float(slope.high_slope),
                "autocorrelation": parabola_autocorrelation(t.astype(float), v.astype(float)),
                "saturation": saturation(t.astype(float), v.astype(float), len(v) / 2),
            }
        )
    sixties = [case for case in cases if len(case["v"]) == 60 and case["name"] != "all equal"]
    regional = mk.regional_test(np.column_stack([case["v"] for case in sixties]))
    print(
        json.dumps(
            {
                "cases": cases,
                "regional": {
                    "names": [case["name"] for case in sixties],
                    "score": float(regional.s),
                    "variance": float(regional.var_s),
                    "z": float(regional.z),
                },
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
