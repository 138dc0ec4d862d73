"""From pictures to classes: decoding, encoders, weights, aggregation."""
