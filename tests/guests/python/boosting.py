from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split


def objective(trial):
    x, y = load_wine(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, random_state=0)
    rate = trial.suggest_float("learning_rate", 0.01, 0.5, log=True)
    model = HistGradientBoostingClassifier(learning_rate=rate, max_iter=10, random_state=0).fit(train_x, train_y)
    return log_loss(test_y, model.predict_proba(test_x))
