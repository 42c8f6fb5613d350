"""Classify by labels of text, inside a scikit-learn pipeline, judged by cross validation."""

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer

from numdl import ResNetClassifier

iris = load_iris()
labels = iris.target_names[iris.target]
network = ResNetClassifier(width=4, depth=2, dynamics="antisymmetric", n_restarts=1, tol=0.01, random_state=0)
model = make_pipeline(make_column_transformer((PowerTransformer(), [0, 1, 2, 3])), network)

result = cross_validate(model, iris.data, labels, cv=3, return_estimator=True)
print(f"accuracy of three folds: {np.round(result['test_score'], 3)}")

fitted = result["estimator"][0]
print("classes:", *fitted.classes_)
print("probabilities of one flower:", np.round(fitted.predict_proba(iris.data[:1]), 3))
