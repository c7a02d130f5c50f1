from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

X, Y = load_breast_cancer(return_X_y=True)


def objective(trial):
    steps = [("scale", StandardScaler())]
    if trial.suggest_categorical("reduce", [True, False]):
        steps.append(("pca", PCA(n_components=trial.suggest_int("components", 2, 10), random_state=0)))
    steps.append(("model", LogisticRegression(C=trial.suggest_float("c", 1e-2, 1e2, log=True), max_iter=500)))
    return cross_val_score(Pipeline(steps), X, Y, cv=3, scoring="roc_auc").mean()
