"""The suite of measurements, as far as it does not measure."""
