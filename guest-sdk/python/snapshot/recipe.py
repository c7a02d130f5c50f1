"""Imports what objectives import, and uses it once: the memory of this interpreter becomes the snapshot.

A user's own module is never in it: what such a module reads, draws or measures when it is imported would be the same in
all trials. The first use of a library costs more than its import, so each is used once on a few rows.
"""

import _colorize
import argparse
import ast
import collections
import csv
import dataclasses
import datetime
import encodings
import functools
import importlib
import importlib.util
import inspect
import io
import itertools
import json
import linecache
import logging
import os
import pathlib
import random
import re
import statistics
import sys
import tempfile
import time
import tomllib
import traceback
import typing
import warnings

import joblib
import numpy
import numpy.fft
import numpy.linalg
import numpy.random
import pandas
import scipy
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.spatial
import scipy.special
import scipy.stats
import sklearn

SKLEARN = """
base calibration cluster compose covariance cross_decomposition datasets decomposition discriminant_analysis dummy
ensemble exceptions feature_extraction feature_selection gaussian_process impute inspection isotonic
kernel_approximation kernel_ridge linear_model manifold metrics mixture model_selection multiclass multioutput
naive_bayes neighbors neural_network pipeline preprocessing random_projection semi_supervised svm tree utils
"""

for name in SKLEARN.split():
    importlib.import_module(f"sklearn.{name}")

# The folder is granted while the snapshot is made, and in no trial.
sys.path.insert(0, "/trialbox")
import optuna
import optuna.integration
import trialbox
import trialbox._sandbox

sys.path.remove("/trialbox")


def warm():
    """Uses each library once."""
    from sklearn.datasets import load_iris
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y = load_iris(return_X_y=True)
    load_iris()
    train_x, test_x, train_y, _ = train_test_split(x, y, random_state=0)
    models = [
        SVC(),
        RandomForestClassifier(2),
        LogisticRegression(max_iter=5),
        make_pipeline(StandardScaler(), SGDClassifier(max_iter=2)),
        HistGradientBoostingClassifier(max_iter=1),
        MLPClassifier(max_iter=1),
        Ridge(),
    ]
    for model in models:
        cross_val_score(model, x, y, cv=StratifiedKFold(2, shuffle=True, random_state=0))
        model.fit(train_x, train_y).predict(test_x)
    cross_val_score(SVC(), pandas.DataFrame(x), y, n_jobs=-1)
    SGDClassifier().partial_fit(train_x, train_y, classes=[0, 1, 2])


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    warm()

del warm, name
