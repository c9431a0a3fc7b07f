"""The model of the preset paper: Gaussian codes and one float32 matrix, as published."""
