"""Fit a pandas frame with two targets; columns are checked by name when predicting."""

import pandas as pd

from numdl import ResNetRegressor
from numdl.data import TOYS

circuit = TOYS["otl-circuit"](400, random_state=1)
frame = pd.DataFrame(circuit.x, columns=list(circuit.names))
targets = pd.DataFrame({"voltage": circuit.c[:, 0], "gain": frame["beta"] * frame["Rc2"]})

short = {"width": 8, "depth": 2, "dynamics": "antisymmetric", "n_restarts": 1, "tol": 0.1}  # nothing has to be set
model = ResNetRegressor(**short, random_state=0).fit(frame[:300], targets[:300])
print("columns:", *model.feature_names_in_)

predicted = pd.DataFrame(model.predict(frame[300:]), index=frame.index[300:], columns=targets.columns)
relative = (predicted - targets[300:]).std() / targets.std()
print("relative errors:", relative.map("{:.2g}".format).to_dict())

try:
    model.predict(frame[["Rf", "beta"]])
except ValueError as error:
    print("wrong columns are refused:", str(error).splitlines()[0])
print(f"{model.effective_dof_:.0f} of {model.n_parameters_} parameters are determined by the data")
