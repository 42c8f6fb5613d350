"""Classify by labels of text, inside a scikit-learn pipeline, judged by cross validation."""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer

from numdl import ResNetClassifier

iris = load_iris()
labels = iris.target_names[iris.target]
network = ResNetClassifier(width=4, depth=2, dynamics="antisymmetric", n_restarts=1, time_budget=4, random_state=0)
model = make_pipeline(make_column_transformer((PowerTransformer(), [0, 1, 2, 3])), network)

scores = cross_val_score(model, iris.data, labels, cv=3)
print(f"accuracy of three folds: {np.round(scores, 3)}")

model.fit(iris.data, labels)
print("classes:", *model.classes_)
print("probabilities of one flower:", np.round(model.predict_proba(iris.data[:1]), 3))
