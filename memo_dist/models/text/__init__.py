"""The model of the preset text: hash codes, masked values, distinct associations, a ledger and banks."""
