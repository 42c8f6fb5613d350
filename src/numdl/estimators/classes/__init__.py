"""Classification that chooses its model: linear or Gaussian processes, judged by left-out rows, stacked, calibrated."""
