"""Problems with known answers: toy data, simulators, inverse problems."""
