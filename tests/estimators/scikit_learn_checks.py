"""Which of scikit-learn's checks are further cases of what they show of another estimator?"""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

# These train on numbers of a shape of their own, so that each compiles a whole fit. They go through what estimators of
# one kind share: the checks of input, the plan of training, prediction.
TRAIN = {
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_classifiers_train",
    "check_decision_proba_consistency",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimators_dtypes",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit_check_is_fitted",
    "check_fit_score_takes_y",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_non_transformer_estimators_n_iter",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_regressor_data_not_an_array",
    "check_regressor_multioutput",
    "check_regressors_int",
    "check_regressors_no_decision_function",
    "check_regressors_train",
    "check_requires_y_none",
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weights_list",
    "check_sample_weights_not_an_array",
    "check_sample_weights_not_overwritten",
    "check_sample_weights_pandas_series",
    "check_sample_weights_shape",
}


# These train on numbers of one shape, which an estimator may have in common with no other.
AGAIN = {
    "check_estimators_pickle",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_dict_unchanged",
    "check_fit2d_predict1d",
    "check_readonly_memmap_input",
    "check_supervised_y_2d",
}


def parametrize_with_quick_checks(estimators, but=frozenset(TRAIN), also=()):
    """As scikit-learn's ``parametrize_with_checks``, for estimators whose path another one takes through all checks.

    The checks ``but`` are further cases of what that one shows, other than those named by ``also``.
    """
    cases = []
    for estimator in estimators:
        name = "".join(str(estimator).split())
        for one, check in estimator_checks_generator(estimator):
            marks = pytest.mark.thorough if check.func.__name__ in but - set(also) else ()
            cases.append(pytest.param(one, check, marks=marks, id=f"{name}-{check.func.__name__}"))
    return pytest.mark.parametrize(("estimator", "check"), cases)
