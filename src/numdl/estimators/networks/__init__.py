"""Estimators that train networks: residual networks, perceptrons, single layers."""
