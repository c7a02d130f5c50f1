"""The data of Optuna's figures of a study, as one line of JSON. plotly is not needed for it."""

import json
import math
import sys
import warnings

import optuna
from optuna.visualization._contour import _get_contour_info
from optuna.visualization._edf import _get_edf_info
from optuna.visualization._intermediate_values import _get_intermediate_plot_info
from optuna.visualization._optimization_history import _get_optimization_history_info_list
from optuna.visualization._pareto_front import _get_pareto_front_info
from optuna.visualization._slice import _get_slice_plot_info
from optuna.visualization._timeline import _get_timeline_info

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def finite(values):
    return [None if math.isnan(value) or math.isinf(value) else float(value) for value in values]


def of_single(study, pair):
    [history] = _get_optimization_history_info_list(study, None, "value", False)
    edf = _get_edf_info(study)
    slices = _get_slice_plot_info(study, None, None, "value")
    contour = _get_contour_info(study, params=pair).sub_plot_infos[0][0]
    x_axis, y_axis = contour.xaxis, contour.yaxis
    return {
        "numbers": history.trial_numbers,
        "values": finite(history.values_info.values),
        "best": finite(history.best_values_info.values),
        "edf": [list(map(float, edf.x_values)), list(map(float, edf.lines[0].y_values))],
        "slices": {
            plot.param_name: [plot.trial_numbers, plot.x, plot.y] for plot in slices.subplots
        },
        "contour": [x_axis.name, y_axis.name, len(contour.z_values)],
        "surface": sorted(
            [x_axis.indices[x], y_axis.indices[y], z] for (x, y), z in contour.z_values.items()
        ),
        "curves": {
            info.trial_number: info.sorted_intermediate_values
            for info in _get_intermediate_plot_info(study).trial_infos
        },
    }


def figures(path, name, *pair):
    study = optuna.load_study(storage=f"sqlite:///{path}", study_name=name)
    timeline = [
        [bar.number, str(bar.start), str(bar.complete)] for bar in _get_timeline_info(study).bars
    ]
    if len(study.directions) == 1:
        return {"timeline": timeline, **of_single(study, list(pair))}
    front = _get_pareto_front_info(study)
    numbers = [
        sorted(trial.number for trial, _ in trials)
        for trials in (
            front.best_trials_with_values,
            front.non_best_trials_with_values,
            front.infeasible_trials_with_values,
        )
    ]
    return {"timeline": timeline, "front": numbers}


print(json.dumps(figures(*sys.argv[1:])))
