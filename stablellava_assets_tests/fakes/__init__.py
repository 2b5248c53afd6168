"""What stands for servers and for models of full size: tests and benchmarks alike import it from here."""
