# /// trialbox
# name = "accuracy-and-size"
# summary = "A tree that is accurate and small."
# metrics = [{ name = "accuracy", direction = "maximize" }, { name = "leaves", direction = "minimize" }]
# ///
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeClassifier


def objective(trial):
    x, y = load_wine(return_X_y=True)
    model = DecisionTreeClassifier(max_leaf_nodes=trial.suggest_int("leaves", 2, 20), random_state=0)
    return cross_val_score(model, x, y, cv=3).mean(), model.fit(x, y).get_n_leaves()
