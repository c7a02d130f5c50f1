import math

import scipy.integrate
import scipy.optimize


def objective(trial):
    damping = trial.suggest_float("damping", 0.1, 2.0)
    found = scipy.integrate.solve_ivp(lambda t, y: [y[1], -damping * y[1] - y[0]], (0, 5), [1.0, 0.0], rtol=1e-8)
    best = scipy.optimize.minimize(lambda p: (p[0] - 1) ** 2 + (p[1] + 2) ** 4, [0.0, 0.0])
    return abs(found.y[0, -1]) + math.sqrt(best.fun)
