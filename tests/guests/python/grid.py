from joblib import Parallel, delayed
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler


def objective(trial):
    x, y = load_wine(return_X_y=True)
    model = make_pipeline(MinMaxScaler(), KNeighborsClassifier(weights=trial.suggest_categorical("weights", ["uniform", "distance"])))
    grid = GridSearchCV(model, {"kneighborsclassifier__n_neighbors": [1, 5, 9]}, cv=3, n_jobs=2).fit(x, y)
    trial.set_user_attr("neighbors", grid.best_params_["kneighborsclassifier__n_neighbors"])
    return max(Parallel(n_jobs=2)([delayed(float)(grid.best_score_)]))
