"""Records what Optuna's Gaussian process computes: `gp.json`.

    python3 gp.py

with Optuna 5.0.0. Optuna's code runs as it is installed, but not on PyTorch: the few functions of it that the kernel,
the likelihood, the priors, the predictions and the expected improvement call are here, on NumPy and SciPy. Gradients are
not needed for that, so that nothing of PyTorch's is left out.
"""

import json
import pathlib
import sys
import types

import numpy as np
import scipy.linalg
import scipy.special

HERE = pathlib.Path(__file__).parent


class Tensor(np.ndarray):
    """An array with those methods of a tensor that Optuna calls."""

    def unsqueeze(self, axis):
        return np.expand_dims(self, axis)

    def square_(self):
        np.square(self, out=self)
        return self

    def sqrt_(self):
        np.sqrt(self, out=self)
        return self

    def add_(self, value):
        self += value
        return self

    def clamp_min_(self, value):
        np.maximum(self, value, out=self)
        return self

    def type(self, kind):
        return self.astype(kind)

    def detach(self):
        return self

    def numel(self):
        return self.size

    def matmul(self, other):
        return tensor(np.matmul(self, other))

    def log(self):
        return np.log(self)

    def exp(self):
        return np.exp(self)

    def diagonal(self, *args, dim1=0, dim2=1):
        view = np.einsum("...ii->...i", self)
        return view.view(Tensor)


def tensor(array):
    return np.asarray(array, dtype=float).view(Tensor)


def solve_triangular(a, b, *, upper, left=True):
    if left:
        return tensor(scipy.linalg.solve_triangular(a, b, lower=not upper))
    return tensor(scipy.linalg.solve_triangular(a.T, b.T, lower=upper).T)


class NoGrad:
    def __enter__(self):
        return self

    def __exit__(self, *args):
        return False


class Function:
    @classmethod
    def apply(cls, *args):
        return cls.forward(types.SimpleNamespace(save_for_backward=lambda *saved: None), *args)


def stand_in():
    torch = types.ModuleType("torch")
    torch.Tensor, torch.float64, torch.no_grad = Tensor, float, NoGrad
    torch.autograd = types.SimpleNamespace(Function=Function)
    torch.sqrt = lambda x: tensor(np.sqrt(x))
    torch.exp = lambda x: tensor(np.exp(x))
    torch.log = lambda x: tensor(np.log(x))
    torch.linalg = types.SimpleNamespace(
        cholesky=lambda a: tensor(np.linalg.cholesky(a)),
        solve_triangular=solve_triangular,
        vecdot=lambda a, b: tensor((np.asarray(a) * np.asarray(b)).sum(-1)),
    )
    torch.special = types.SimpleNamespace(
        erfc=lambda x: tensor(scipy.special.erfc(x)),
        erfcx=lambda x: tensor(scipy.special.erfcx(x)),
    )
    sys.modules["torch"] = torch


def main():
    stand_in()
    from optuna._gp import acqf, gp, prior

    rng = np.random.RandomState(0)
    cases = []
    for n, n_numbers, n_choices in [(1, 1, 0), (7, 2, 1), (20, 3, 2)]:
        numbers = rng.rand(n + 4, n_numbers)
        choices = rng.randint(0, 3, (n + 4, n_choices)).astype(float)
        points = np.hstack([numbers, choices])
        train, queries = points[:n], points[n:]
        outcomes = np.sin(5 * train.sum(axis=1)) + 0.1 * rng.randn(n)
        weights = np.exp(rng.randn(n_numbers + n_choices))
        scale, noise = float(np.exp(0.3 * rng.randn())), float(np.exp(-3 + rng.randn()))
        is_categorical = np.arange(points.shape[1]) >= n_numbers
        regressor = gp.GPRegressor(
            is_categorical=is_categorical.view(Tensor),
            X_train=tensor(train),
            y_train=tensor(outcomes),
            inverse_squared_lengthscales=tensor(weights),
            kernel_scale=tensor(scale),
            noise_var=tensor(noise),
        )
        likelihood = float(regressor.marginal_log_likelihood())
        log_prior = float(prior.default_log_prior(regressor))
        kernel = np.asarray(regressor.kernel())
        regressor._cache_matrix()
        means, variances = regressor.posterior(tensor(queries))
        best = float(outcomes.max())
        # Optuna takes the root in place.
        log_ei = acqf.logei(tensor(means), tensor(np.array(variances)), best)
        cases.append(
            {
                "n_numbers": n_numbers,
                "points": train.tolist(),
                "outcomes": outcomes.tolist(),
                "weights": weights.tolist(),
                "scale": scale,
                "noise": noise,
                "kernel": kernel.tolist(),
                "log_likelihood": likelihood,
                "log_prior": log_prior,
                "queries": queries.tolist(),
                "means": np.asarray(means).tolist(),
                "variances": np.asarray(variances).tolist(),
                "log_ei": np.asarray(log_ei).tolist(),
            }
        )
    z = np.concatenate([np.linspace(-40, 5, 46), [-1e3, -1e5, -0.999, -1.001, -24.9, -25.1]])
    log_h = np.asarray(acqf.standard_logei(tensor(z)))
    golden = {"cases": cases, "log_h": [[float(a), float(b)] for a, b in zip(z, log_h)]}
    (HERE / "gp.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
