import warnings

from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore", category=ConvergenceWarning)


def objective(trial):
    x, y = load_iris(return_X_y=True)
    layers = [trial.suggest_int(f"units_{layer}", 4, 32) for layer in range(trial.suggest_int("layers", 1, 3))]
    model = MLPClassifier(layers, max_iter=30, random_state=0)
    return cross_val_score(model, StandardScaler().fit_transform(x), y, cv=3).mean()
