"""How good a memory is: recall against its ceiling, calibration, samples of a corpus."""
