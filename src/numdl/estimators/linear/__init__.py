"""Linear classification: softmax and logistic regression."""
