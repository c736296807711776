"""What `/metrics` is made of: counters, histograms, and the text that Prometheus reads."""
