"""What `benchmarks/run.py` is made of; see benchmarks/README.md."""
